//! Whether every action of a template that opens something is closed, and nothing else is: `gotmpl` 0.6 takes the end of the text for a missing `end`, and
//! leaves out what stands behind one too many. Go refuses both.

use gotmpl::parse::{ListNode, Node, Parser};

/// What no template ends with: it must be found at the very end of what was understood.
const MARK: &str = "\0end of template\0";

/// # Errors
/// The line, and what is wrong there or behind it.
pub fn check(text: &str) -> Result<(), (usize, String)> {
    let marked = format!("{text}{MARK}");
    // What is wrong with the words themselves has been told by whoever parsed it.
    let Ok((list, defines)) = Parser::new(&marked, "{{", "}}").and_then(Parser::parse) else { return Ok(()) };
    if list.nodes.last().is_some_and(|node| matches!(node, Node::Text(text) if text.text.ends_with(MARK))) {
        return Ok(());
    }
    let unclosed = innermost(&list).or_else(|| {
        let define = defines.iter().find(|define| holds(&define.body))?;
        Some(innermost(&define.body).unwrap_or((define.pos.line, "define")))
    });
    Err(match unclosed {
        Some((line, what)) => (line, format!("unexpected EOF: this {{{{{what}}}}} has no {{{{end}}}}")),
        None => {
            let line = list.nodes.last().map_or(1, |node| last_line(node, &marked));
            (line, "unexpected {{end}}: no open block to close from here on".to_owned())
        }
    })
}

/// The innermost branch that the mark is in, with its line.
fn innermost(list: &ListNode) -> Option<(usize, &'static str)> {
    list.nodes.iter().find_map(|node| {
        let (branch, what) = match node {
            Node::If(branch) => (branch, "if"),
            Node::Range(branch) => (branch, "range"),
            Node::With(branch) => (branch, "with"),
            _ => return None,
        };
        let parts = || [Some(&branch.body), branch.else_body.as_ref()].into_iter().flatten();
        parts().find_map(innermost).or_else(|| parts().any(holds).then_some((branch.pos.line, what)))
    })
}

fn holds(list: &ListNode) -> bool {
    list.nodes.iter().any(|node| match node {
        Node::Text(text) => text.text.ends_with(MARK),
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
            holds(&branch.body) || branch.else_body.as_ref().is_some_and(holds)
        }
        _ => false,
    })
}

/// The line on which the last thing that was understood ends, as far as it tells.
fn last_line(node: &Node, text: &str) -> usize {
    let pos = match node {
        Node::Text(node) => {
            return text
                .get(..node.pos.offset + node.text.len())
                .map_or(node.pos.line, |before| before.matches('\n').count() + 1);
        }
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
            let list = branch.else_body.as_ref().unwrap_or(&branch.body);
            return list.nodes.last().map_or(branch.pos.line, |node| last_line(node, text));
        }
        Node::Action(node) => node.pos,
        Node::Template(node) => node.pos,
        Node::Define(node) => node.pos,
        Node::List(node) => node.pos,
        Node::Break(pos) | Node::Continue(pos) => *pos,
    };
    pos.line
}

#[cfg(test)]
mod tests {
    use super::super::expand::expand;
    use super::check;

    #[test]
    fn what_opens_is_closed() {
        for right in [
            "",
            "{{ if .A }}{{ else if .B }}{{ else if .C }}{{ else }}{{ end }}",
            "{{ range .A }}{{ if . }}{{ break }}{{ end }}{{ else }}{{ end }}  ",
            "{{ define \"x\" }}{{ with .A }}{{ else with .B }}{{ end }}{{ end }}{{ block \"y\" . }}{{ end }}",
            "{{- if .A -}}{{- end -}}{{/* {{ end */}}{{ `{{ end }}` }} end if",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for (wrong, line, told) in [
            ("a\n{{ if .A }}\n", 2, "{{if}} has no {{end}}"),
            ("a\nb{{ end }}b", 2, "unexpected {{end}}"),
            ("{{ if .A }}x{{ end }}\n{{ end }}\n", 2, "unexpected {{end}}"),
            ("{{ else }}", 1, "unexpected {{end}}"),
            ("{{ range .A }}{{ if . }}\n{{ end }}", 1, "{{range}} has no {{end}}"),
            ("\n{{ define \"x\" }}\n{{ with . }}", 3, "{{with}} has no {{end}}"),
            ("\n{{ define \"x\" }}\n", 2, "{{define}} has no {{end}}"),
        ] {
            let (at, what) = check(wrong).unwrap_err();
            assert!(at == line && what.contains(told), "{wrong}: {at}: {what}");
        }
    }

    #[test]
    fn a_text_that_ends_anywhere_is_an_error_and_no_panic() {
        let whole = "{{ define \"x\" }}{{ with $a := .A | index 1 }}{{ end }}{{ end }}{{ if and (eq .A 1) `r` }}{{ else if 'c' }}{{ range $i, $e := .B }}\
            {{ template \"x\" . }}{{ continue }}{{ else }}{{ $x := 0x1F }}{{ $x = 2 }}{{ end }}{{- /* c */ -}}{{ end }}{{ block \"y\" 1 }}{{ end }}";
        assert_eq!(check(whole), Ok(()));
        for (end, _) in whole.char_indices() {
            let _found = expand("t", &whole[..end], &gotmpl::Value::Nil);
            let _found = expand("t", &whole[end..], &gotmpl::Value::Nil);
        }
    }
}
