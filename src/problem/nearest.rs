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

/// Most names that are put in order.
const MOST_RANKED: usize = 200;

/// Most names that advice lists.
const MOST_LISTED: usize = 12;

/// Advice for an unknown name: the one that was probably meant, and those that there are, nearest first: all if they are few. Empty if there is none.
#[must_use]
pub fn candidates<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let meant = nearest(word, known.iter().copied());
    let mut ranked = known.clone();
    // Of very many names only a mistyped one is looked for: to rank them all takes too long.
    if known.len() <= MOST_RANKED {
        let word = folded(word);
        // Stable: equally far names stay in the order in which they are known.
        ranked.sort_by_cached_key(|name| (Some(*name) != meant, strsim::osa_distance(&word, &folded(name))));
    }
    let listed: Vec<String> = ranked.iter().take(MOST_LISTED).map(|name| format!("`{name}`")).collect();
    let rest = known.len() - listed.len();
    match meant {
        // Of many, one is enough.
        Some(right) if rest > 0 || known.len() == 1 => format!("did you mean `{right}`?"),
        Some(right) => format!("did you mean `{right}`? Known: {}", listed.join(", ")),
        None if known.is_empty() => String::new(),
        None if rest > 0 => format!("known: {} and {rest} more", listed.join(", ")),
        None => format!("known: {}", listed.join(", ")),
    }
}

fn folded(word: &str) -> String {
    // Longer words are nobody's typing mistake, and the distance costs the product of both lengths.
    word.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::{candidates, nearest};

    #[test]
    fn the_known_names_are_listed_nearest_first() {
        assert_eq!(candidates("wbe", ["app", "db", "web"]), "did you mean `web`? Known: `web`, `db`, `app`");
        assert_eq!(candidates("cache", ["app", "db", "web"]), "known: `app`, `db`, `web`");
        assert_eq!(candidates("wbe", ["web"]), "did you mean `web`?");
        assert_eq!(candidates("web", []), "");
        let many: Vec<String> = (0..30).map(|n| format!("name-{n:02}")).collect();
        let many = || many.iter().map(String::as_str);
        assert_eq!(candidates("name-31", many()), "did you mean `name-01`?");
        let told = candidates("other", many());
        assert!(told.starts_with("known: `name-") && told.ends_with(" and 18 more"), "{told}");
    }

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
