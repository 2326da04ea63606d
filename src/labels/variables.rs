//! Variables in the texts of stack and Compose files: `$NAME` and `${NAME:-default}`.
//!
//! Two programs fill them in, and each has its own rules: [`Rules::Compose`], by which the controller reads a Compose file, and [`Rules::Client`], by which
//! docker's client reads a stack file. What differs is in [`Rules`] alone.

/// How deep defaults may be nested.
const DEEPEST: usize = 16;

/// Longest text that one value may become: defaults that name variables that hold much could grow without end.
const LONGEST: usize = 1 << 20;

/// By whose rules variables are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// The Compose specification's: `-`, `?` and `+`, whose words may hold variables themselves; `$$` becomes `$`.
    Compose,
    /// As [`Rules::Compose`], but a `$` that begins no variable stays as it is, as Compose does it since its version 2.24: of a `pod.yaml` and of files of variables.
    File,
    /// As [`Rules::File`], but only for what is in braces, and `$$`: `$NAME` and `\$` are a shell's.
    Shell,
    /// Those of `docker stack deploy`: `-` and `?`, whose words are taken as they are and end at the first brace. `$$` stays, and a `$` in a variable's value is
    /// doubled: whoever reads the result undoes that.
    Client,
}

/// Why a text can't be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadVariable {
    /// A `$` begins no variable.
    Stray,
    /// This has no brace at its end.
    Unclosed(String),
    /// This, in braces, is none.
    NoVariable(String),
    /// It has to be set, and is not.
    Required {
        /// Its name.
        name: String,
        /// What the file says about that; may be empty.
        why: String,
    },
    /// Defaults are nested too deep.
    TooDeep {
        /// How deep they may be.
        most: usize,
    },
    /// The result is too long.
    TooLong {
        /// How long it may be, in bytes.
        most: usize,
    },
}

/// Fills variables in.
pub struct Variables<'a> {
    rules: Rules,
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// Told of each variable that is not set, where nothing is said about that case.
    unset: &'a mut dyn FnMut(&str),
}

impl<'a> Variables<'a> {
    /// `variable` answers the environment; `unset` is told of variables that are filled in as nothing because they are not set.
    pub fn new(rules: Rules, variable: &'a dyn Fn(&str) -> Option<String>, unset: &'a mut dyn FnMut(&str)) -> Self {
        Self { rules, variable, unset }
    }

    /// Fills in one text.
    ///
    /// # Errors
    /// [`BadVariable`].
    pub fn fill(&mut self, text: &str) -> Result<String, BadVariable> {
        self.text(text, 0)
    }

    fn text(&mut self, text: &str, depth: usize) -> Result<String, BadVariable> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            if self.rules == Rules::Shell && before.ends_with('\\') {
                filled.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('$') {
                filled.push_str(if self.rules == Rules::Client { "$$" } else { "$" });
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let (inner, after) = self.braced(after).ok_or_else(|| {
                    BadVariable::Unclosed(format!("${{{}", after.chars().take(20).collect::<String>()))
                })?;
                filled.push_str(&self.expression(inner, depth)?);
                rest = after;
            } else {
                match name(after).filter(|_| self.rules != Rules::Shell) {
                    Some((name, after)) => {
                        filled.push_str(&self.plain(name));
                        rest = after;
                    }
                    None if matches!(self.rules, Rules::File | Rules::Shell) => {
                        filled.push('$');
                        rest = after;
                    }
                    None => return Err(BadVariable::Stray),
                }
            }
            if filled.len() > LONGEST {
                return Err(BadVariable::TooLong { most: LONGEST });
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// What is before the brace that closes this one, and after it.
    fn braced<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        if self.rules == Rules::Client {
            return text.split_once('}');
        }
        let mut depth = 0_usize;
        let mut before = ' ';
        for (index, c) in text.char_indices() {
            match c {
                '{' if before == '$' => depth += 1,
                '}' if depth == 0 => return Some((text.get(..index)?, text.get(index + 1..)?)),
                '}' => depth -= 1,
                _ => {}
            }
            before = c;
        }
        None
    }

    /// What stands for what is between braces.
    fn expression(&mut self, expression: &str, depth: usize) -> Result<String, BadVariable> {
        let wrong = || BadVariable::NoVariable(format!("${{{expression}}}"));
        let (name, operator) = name(expression).ok_or_else(wrong)?;
        if operator.is_empty() {
            return Ok(self.plain(name));
        }
        if depth == DEEPEST {
            return Err(BadVariable::TooDeep { most: DEEPEST });
        }
        // With a colon, a variable that is empty counts as one that is not set.
        let (takes_empty, operator) = match operator.strip_prefix(':') {
            Some(operator) => (false, operator),
            None => (true, operator),
        };
        let value = (self.variable)(name).filter(|value| takes_empty || !value.is_empty());
        match (operator.split_at_checked(1).ok_or_else(wrong)?, value) {
            (("-" | "?", _), Some(value)) => Ok(self.value(value)),
            (("-", word), None) => self.word(word, depth),
            (("?", word), None) => Err(BadVariable::Required { name: name.to_owned(), why: self.word(word, depth)? }),
            (("+", word), value) if self.rules != Rules::Client => match value {
                Some(_) => self.word(word, depth),
                None => Ok(String::new()),
            },
            _ => Err(wrong()),
        }
    }

    fn word(&mut self, word: &str, depth: usize) -> Result<String, BadVariable> {
        match self.rules {
            Rules::Compose | Rules::File | Rules::Shell => self.text(word, depth + 1),
            Rules::Client => Ok(word.to_owned()),
        }
    }

    fn plain(&mut self, name: &str) -> String {
        match (self.variable)(name) {
            Some(value) => self.value(value),
            None => {
                (self.unset)(name);
                String::new()
            }
        }
    }

    fn value(&self, value: String) -> String {
        match self.rules {
            Rules::Compose | Rules::File | Rules::Shell => value,
            Rules::Client => value.replace('$', "$$"),
        }
    }
}

/// The name that a text begins with, and the rest.
fn name(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let begins = name.chars().next()?;
    (!begins.is_ascii_digit()).then_some((name, rest))
}
