//! Files of variables, as Compose reads them: `env_file` of a component, and `.env` beside a `pod.yaml`.
//!
//! The rules are those of compose-go's package `dotenv` (version 2): quotes are taken off, `export` is passed over, `#` begins a comment, quoted values may have several lines, double-quoted
//! ones have escapes, and variables are filled in but within single quotes. `docker run --env-file` and podlike take every line as it is.

use super::variables::{BadVariable, Rules, Variables};

/// What is wrong with a line. The line is not quoted in any message: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// A lower-case fragment.
    pub what: String,
}

/// Reads a file: names and values in their order; a value is none if only the name was written. `known` answers variables of the environment, which win over those of the file; `unset` hears
/// the line and the name of each value in which a `$` begins a variable that is not set: the name of that one may be a piece of a password.
///
/// # Errors
/// Every line that can't be read. After a quote without an end nothing more is read.
pub fn parse(
    text: &str,
    known: &dyn Fn(&str) -> Option<String>,
    unset: &mut dyn FnMut(usize, &str),
) -> Result<Vec<(String, Option<String>)>, Vec<BadLine>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1, found: Vec::new(), wrong: Vec::new() };
    while reader.skip_to_statement() {
        let line = reader.line;
        let read = reader.statement(known, unset);
        if let Err(what) = read {
            reader.wrong.push(BadLine { line, what });
        }
    }
    if reader.wrong.is_empty() { Ok(reader.found) } else { Err(reader.wrong) }
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    found: Vec<(String, Option<String>)>,
    wrong: Vec<BadLine>,
}

impl<'t> Reader<'t> {
    /// Passes over white space and comments; false at the end.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            self.take(self.end_of_line());
        }
    }

    fn end_of_line(&self) -> usize {
        self.rest.find('\n').unwrap_or(self.rest.len())
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += taken.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
        taken
    }

    fn statement(
        &mut self,
        known: &dyn Fn(&str) -> Option<String>,
        unset: &mut dyn FnMut(usize, &str),
    ) -> Result<(), String> {
        let line_number = self.line;
        if let Some(behind) = self.rest.strip_prefix("export")
            && behind.starts_with([' ', '\t', '\r', '\u{c}'])
        {
            let blank = behind.len() - behind.trim_start_matches(is_blank).len();
            self.take("export".len() + blank);
        }
        let end = self.end_of_line();
        let line = self.rest.get(..end).unwrap_or_default();
        // The second is how YAML would have it.
        let assigned = line.find(['=', ':']);
        let name = line.get(..assigned.unwrap_or(end)).unwrap_or_default().trim_end();
        let right = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
        let wrong = if name.is_empty() {
            Some("a name is missing before `=`")
        } else if name.contains(char::is_whitespace) {
            Some("the name contains white space")
        } else if !name.chars().all(right) {
            Some("the name contains a character that is not valid in a variable name")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.take(end);
            return Err(wrong.to_owned());
        }
        let name = name.to_owned();
        let Some(assigned) = assigned else {
            self.take(end);
            self.found.push((name, None));
            return Ok(());
        };
        self.take(assigned + 1);
        let blank = self.rest.len() - self.rest.trim_start_matches(is_blank).len();
        self.take(blank);
        let value = self.value(&name, line_number, known, unset)?;
        if value.contains('\0') {
            return Err("the line contains a NUL character".to_owned());
        }
        self.found.push((name, Some(value)));
        Ok(())
    }

    fn value(
        &mut self,
        name: &str,
        line_number: usize,
        known: &dyn Fn(&str) -> Option<String>,
        unset: &mut dyn FnMut(usize, &str),
    ) -> Result<String, String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some(quote) = quote else {
            let line = self.take(self.end_of_line());
            let value = line.split_once(" #").map_or(line, |(value, _)| value).trim_end();
            return self.filled(value, known, &mut |_| unset(line_number, name), name);
        };
        let mut value = String::new();
        let mut is_escaped = false;
        for (index, c) in self.rest.char_indices().skip(1) {
            match (c, is_escaped) {
                (c, false) if c == quote => {
                    self.take(index + 1);
                    if quote == '\'' {
                        return Ok(value);
                    }
                    return self.filled(&unescaped(&value), known, &mut |_| unset(line_number, name), name);
                }
                (c, true) if c == quote => {
                    value.push(c);
                    is_escaped = false;
                }
                ('\\', false) => is_escaped = true,
                (c, escaped) => {
                    if escaped {
                        value.push('\\');
                    }
                    value.push(c);
                    is_escaped = false;
                }
            }
        }
        self.take(self.rest.len());
        Err("a quote has no closing quote".to_owned())
    }

    /// Errors name neither a variable of the value nor a word behind it: a `$` of a password begins one by accident.
    fn filled(
        &self,
        value: &str,
        known: &dyn Fn(&str) -> Option<String>,
        unset: &mut dyn FnMut(&str),
        name: &str,
    ) -> Result<String, String> {
        let own =
            |name: &str| self.found.iter().rev().find(|(known, _)| known == name).and_then(|(_, value)| value.clone());
        let variable = |name: &str| known(name).or_else(|| own(name));
        Variables::new(Rules::File, &variable, unset).fill(value).map_err(|why| match why {
            BadVariable::Required { .. } => format!("`{name}` requires a variable that is not set"),
            BadVariable::Stray | BadVariable::Unclosed(_) | BadVariable::NoVariable(_) => {
                format!("`{name}`: `${{` does not begin a variable; write `$$` for the character `$`")
            }
            BadVariable::TooDeep { most } => format!("`{name}`: defaults are nested deeper than {most}"),
            BadVariable::TooLong { most } => format!("`{name}`: the value becomes longer than {most} bytes"),
        })
    }
}

/// White space within a line, as compose-go has it.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The escapes of double-quoted values. What is none stays as it is.
fn unescaped(text: &str) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        done.push_str(before);
        let Some(c) = after.chars().next() else {
            done.push('\\');
            return done;
        };
        let mut end = c.len_utf8();
        match c {
            'a' => done.push('\u{7}'),
            'b' => done.push('\u{8}'),
            'f' => done.push('\u{c}'),
            'n' => done.push('\n'),
            'r' => done.push('\r'),
            't' => done.push('\t'),
            'v' => done.push('\u{b}'),
            '\\' | '"' => done.push(c),
            // What fills variables in makes the character of it.
            '$' => done.push_str("$$"),
            '0' => {
                let digits: String = after.chars().skip(1).take(3).take_while(char::is_ascii_digit).collect();
                let code = u32::from_str_radix(&digits, 8).ok().filter(|code| digits.len() == 3 && *code <= 0xff);
                match code.and_then(char::from_u32) {
                    Some(c) => done.push(c),
                    None => done.push_str(&format!("\\0{digits}")),
                }
                end += digits.len();
            }
            c => {
                done.push('\\');
                done.push(c);
            }
        }
        rest = after.get(end..).unwrap_or_default();
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, Option<String>)>, Vec<BadLine>> {
        let known = |name: &str| (name == "HOST").then(|| "h".to_owned());
        parse(text, &known, &mut |_, _| {})
    }

    /// The expected values are those of compose-go's own tests of `dotenv`.
    #[test]
    fn lines_are_read_as_compose_reads_them() {
        for (text, name, value) in [
            ("FOO=bar", "FOO", "bar"),
            ("FOO =bar", "FOO", "bar"),
            ("FOO= bar", "FOO", "bar"),
            ("FOO=\"bar\"", "FOO", "bar"),
            ("FOO='bar'", "FOO", "bar"),
            ("FOO=\"escaped\\\"bar\"", "FOO", "escaped\"bar"),
            ("FOO=\"'d'\"", "FOO", "'d'"),
            ("OPTION_A: 1", "OPTION_A", "1"),
            ("OPTION_A: Foo=bar", "OPTION_A", "Foo=bar"),
            ("OPTION_A=1:B", "OPTION_A", "1:B"),
            ("export OPTION_A=2", "OPTION_A", "2"),
            ("export OPTION_B='\\n'", "OPTION_B", "\\n"),
            ("exportFOO=2", "exportFOO", "2"),
            ("FOO=\"bar\\nbaz\"", "FOO", "bar\nbaz"),
            ("FOO.BAR=foobar", "FOO.BAR", "foobar"),
            ("FOO=foobar=", "FOO", "foobar="),
            ("FOO=bar ", "FOO", "bar"),
            ("FOO=bar # this is foo", "FOO", "bar"),
            // As Compose does it: a comment begins behind a blank, and those before the value are gone by then.
            ("FOO=   # note", "FOO", "# note"),
            ("FOO=\"\"   # note", "FOO", ""),
            ("FOO=bar\t# note", "FOO", "bar\t# note"),
            ("FOO=\"bar#baz\" # comment", "FOO", "bar#baz"),
            ("FOO='bar#baz' # comment", "FOO", "bar#baz"),
            ("FOO=\"bar#baz#bang\" # comment", "FOO", "bar#baz#bang"),
            ("FOO=six#6", "FOO", "six#6"),
            ("KEY=\"\"", "KEY", ""),
            ("KEY=", "KEY", ""),
            ("KEY=\"with a \\\"", "", ""),
            ("FOO=\"bar\\\\\\n\\ b\\az\"", "FOO", "bar\\\n\\ b\u{7}z"),
            ("FOO=\"one\ntwo\"", "FOO", "one\ntwo"),
            ("FOO='one\n\"two\"'", "FOO", "one\n\"two\""),
            ("FOO=\"\\0123\"", "FOO", "S"),
            ("FOO=\\$bar", "FOO", "\\"),
            ("FOO=\"\\$bar\"", "FOO", "$bar"),
            ("FOO=$$bar", "FOO", "$bar"),
            ("FOO='$HOST'", "FOO", "$HOST"),
            ("FOO=$HOST-${HOST}-${GONE:-d}-$5", "FOO", "h-h-d-$5"),
            ("A=1\nFOO=\"${A}2\"", "FOO", "12"),
            ("HOST=own\nFOO=$HOST", "FOO", "h"),
            ("\u{feff}A=1\r\nFOO=b\r\n", "FOO", "b"),
            ("  # x\n\n FOO=b", "FOO", "b"),
        ] {
            let read = read(text);
            if name.is_empty() {
                assert!(read.is_err(), "{text:?}");
                continue;
            }
            let last = read.as_ref().ok().and_then(|found| found.last().cloned());
            assert_eq!(last, Some((name.to_owned(), Some(value.to_owned()))), "{text:?}: {read:?}");
        }
        assert_eq!(read("A\nB"), Ok(vec![("A".to_owned(), None), ("B".to_owned(), None)]));
        assert_eq!(read("# nothing\n"), Ok(Vec::new()));
    }

    #[test]
    fn every_wrong_line_is_named_and_none_is_quoted() {
        let text = "A=1\n=secret\nB C=secret\n\nD%=secret\nE=${secret\nG=${X:?secret}\nH=${secret?}\nF=\"se\ncret\n";
        let wrong = read(text).unwrap_err();
        let lines: Vec<_> = wrong.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 3, 5, 6, 7, 8, 9]);
        assert_eq!(wrong[4].what, "`G` requires a variable that is not set");
        assert!(wrong.iter().all(|bad| !bad.what.contains("secret")), "{wrong:?}");
        let mut unset = Vec::new();
        let text = "B=1\nA=$secret\nC=\"x\n$secret\"\nD='$quoted'\n";
        parse(text, &|_| None, &mut |line, name| unset.push((line, name.to_owned()))).unwrap();
        assert_eq!(unset, [(2, "A".to_owned()), (3, "C".to_owned())]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_will_do(text in "[A-C =:#'\"\\\\${}\n\r-]{0,40}") {
            let _read = read(&text);
        }
    }
}
