//! How deep a text may nest lists and maps: looked at before a text is parsed.
//!
//! The YAML parser looks at every open `[` and `{` again with each word that it reads: some hundred thousand of them, one inside the other, keep it busy for hours, and
//! nothing can interrupt it. JSON's own reader has no such weakness.

use saphyr_parser::{Event, Parser, ScanError};
use serde::de::IgnoredAny;

use super::{Place, Problem};

/// How deep lists and maps may be nested in what users write.
pub const DEEPEST: usize = 100;

/// So many brackets are harmless even where each is inside the one before it.
const HARMLESS: usize = 1_000;

/// Whether a text may be parsed. To be called before every parser of YAML; it takes time in proportion to the text.
///
/// # Errors
/// A [`Problem`] where lists and maps are nested deeper than [`DEEPEST`], as far as that takes more than so many `[` and `{`.
pub fn check(at: &Place, text: &str) -> Result<(), Problem> {
    let opened = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if opened <= DEEPEST {
        return Ok(());
    }
    if is_json(text) {
        return json(at, text);
    }
    let mut depth = 0_usize;
    let mut parser = Parser::new_from_str(text);
    loop {
        match parser.next_event() {
            Some(Ok((Event::SequenceStart(..) | Event::MappingStart(..), span))) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(too_deep(at, span.start.line(), span.start.col() + 1));
                }
            }
            Some(Ok((Event::SequenceEnd | Event::MappingEnd, _))) => depth = depth.saturating_sub(1),
            None | Some(Ok((Event::StreamEnd, _))) => return Ok(()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return broken(at, opened, &error),
        }
    }
}

fn broken(at: &Place, opened: usize, error: &ScanError) -> Result<(), Problem> {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    if error.info() == "recursion limit exceeded" {
        // Its own limit is somewhat higher, and it may look far ahead.
        Err(too_deep(at, line, column))
    } else if opened > HARMLESS {
        // The other parser may think otherwise of the text, and go on.
        Err(at
            .problem(format!("not valid YAML: {}", error.info()))
            .point(line, column)
            .hint(format!("a text with more than {HARMLESS} `[` and `{{` must be valid as a whole")))
    } else {
        Ok(())
    }
}

/// What is passed over is not nested by its reader.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['[', '{']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// JSON can be much longer than what people write: what is valid needs no more than a count.
fn json(at: &Place, text: &str) -> Result<(), Problem> {
    let (mut depth, mut line, mut begin, mut quoted, mut escaped) = (0_usize, 1, 0, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'\n' => (line, begin) = (line + 1, index + 1),
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            let column = text.get(begin..index).map_or(1, |before| before.chars().count() + 1);
            return Err(too_deep(at, line, column));
        }
    }
    Ok(())
}

fn too_deep(at: &Place, line: usize, column: usize) -> Problem {
    at.problem(format!("lists and maps are nested deeper than {DEEPEST} levels"))
        .point(line, column)
        .hint("use fewer nested `[` and `{`; if these characters are text, put them in quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        check(&Place::new("pod.component.app"), text).err().map(|problem| problem.to_string())
    }

    #[test]
    fn what_is_nested_too_deeply_is_told_before_anything_parses_it() {
        let open = |times: usize| "[".repeat(times);
        for text in [
            format!("x-y: {}{}", open(101), "]".repeat(101)),
            format!("{{image: busybox, x-y: {}", open(400_000)),
            format!("x-y: {}{}", open(100_000), "]".repeat(100_000)),
            format!("x-y: {}", "{a: ".repeat(200_000)),
            // What closes in quotes closes nothing.
            format!("x-y: {}{}", "[']', ".repeat(101), "]".repeat(101)),
            format!("{}{}", open(200), "]".repeat(200)),
            format!("{}{}", open(100_000), "]".repeat(100_000)),
        ] {
            let told = told(&text).unwrap_or_default();
            assert!(told.starts_with("`pod.component.app`, line 1, column "), "{told}");
            assert!(told.contains(": lists and maps are nested deeper than 100 levels"), "{told}");
            assert!(told.contains("hint: use fewer nested"), "{told}");
        }
        let broken = told(&format!("x: \"\\q\"\ny: {}", open(400_000))).unwrap_or_default();
        assert!(broken.contains("line 1, column 4: not valid YAML"), "{broken}");
    }

    #[test]
    fn brackets_that_are_text_or_side_by_side_are_fine() {
        let side_by_side = format!("x: [{}]", vec!["[1, {a: b}]"; 5_000].join(", "));
        let script = format!("command: |\n{}", "  printf '\\033[31m{[(\\n'\n".repeat(300));
        let quoted = format!("a: '{0}'\nb: \"{0}\"\n# {0}\nc: x{0}\n", "[{".repeat(300));
        let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let json = format!("[{}]", vec!["{\"a\": [\"]}\\\"[[\", {\"b\": []}]}"; 2_000].join(",\n"));
        for text in [side_by_side, script, quoted, nested, json] {
            assert_eq!(told(&text), None, "{text:.60}");
        }
    }
}
