//! What a mistyped word was meant to be.

/// So many candidates are looked at: nobody types the names of more by hand.
const CANDIDATES: usize = 1_000;

/// The candidate that `word` was most probably meant to be; none where all are too different. Case and the difference of `-` and `_` do not count.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    // A third of the letters may be wrong, and one in any case: more would suggest words that only look alike.
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(CANDIDATES)
        .map(|candidate| (strsim::osa_distance(&word, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn folded(word: &str) -> String {
    // Longer words are nobody's typing mistake, and the distance costs the product of both lengths.
    word.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_the_typing_mistake_and_nothing_else() {
        let known = ["image", "environment", "env_file", "mem_limit"];
        for (word, right) in [
            ("imgae", Some("image")),
            ("Image", Some("image")),
            ("enviroment", Some("environment")),
            ("env-file", Some("env_file")),
            ("memlimit", Some("mem_limit")),
            ("ports", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), right, "{word}");
        }
    }
}
