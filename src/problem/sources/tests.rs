use super::*;

/// `file:line:column|marked piece` of a problem.
fn shown(sources: &Sources, label: &str, field: &str) -> String {
    told(sources, Problem::new(label, field, "x"))
}

fn told(sources: &Sources, problem: Problem) -> String {
    let mut problems = Problems(vec![problem]);
    sources.locate(&mut problems);
    let Some(span) = problems.0[0].span() else { return "nowhere".to_owned() };
    let piece: String = span.text.chars().skip(span.mark).take(span.length).collect();
    format!("{}:{}:{}|{piece}", span.file.as_deref().unwrap_or("-"), span.line, span.column)
}

fn file(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.file("pod.yaml", "dir/pod.yaml", text);
    sources
}

const POD: &str = "\
x-base: &base
  image: busybox
  mem_limit: 5
controller: {ports: ['80:80', x]}
components:
  app:
    <<: *base
    environment: {A.B: [1], C: 2}
    command: |
      echo
      done
  über: {imag: 'it''s'}
plugins:
  - redact
  - reload:
      watch: /x
";

#[test]
fn of_a_key_that_is_written_again_each_has_its_own_place() {
    let text = "app: {image: a, image: b}\nweb: {image: b}\napp: {image: c, tty: 5, tty: 6}\napp: 5\n";
    let sources = file(text);
    assert_eq!(shown(&sources, "pod.yaml", "app"), "dir/pod.yaml:1:1|app: {image: a, image: b}");
    assert_eq!(shown(&sources, "pod.yaml", "app.image"), "dir/pod.yaml:1:7|image: a", "the first counts");
    let expected = ["1:17|image: b", "3:1|app: {image: c, tty: 5, tty: 6}", "3:25|tty: 6", "4:1|app: 5"]
        .map(|at| format!("dir/pod.yaml:{at}"));
    // What the readers report has these places, and in this order.
    for read in [crate::labels::yaml::parse, crate::template::read::read] {
        let mut problems = Problems::default();
        read(&Place::new("pod.yaml"), text, &mut problems);
        problems.0.reverse();
        let places: Vec<_> = problems.0.iter().map(|problem| told(&sources, problem.clone())).rev().collect();
        assert_eq!(places, expected);
        sources.locate(&mut problems);
        let lines: Vec<_> = problems.0.iter().map(|problem| problem.span().unwrap().line).collect();
        assert_eq!(lines, [1, 3, 3, 4], "sorted");
    }
    let mut label = Sources::default();
    label.file("s.yml", "s.yml", "services: {web: {labels: {pod.component.app: \"a: 1\\na: 2\\n\"}}}");
    label.labels_at("s.yml: web: ", Place { label: "s.yml".to_owned(), field: "services.web.labels".to_owned() });
    let again = Problem::new("s.yml: web: pod.component.app", "a", "twice").again(0);
    assert_eq!(told(&label, again), "s.yml:1:53|a: 2");
}

#[test]
fn problems_are_sorted_by_file_line_and_place_in_a_label() {
    let mut sources = Sources::default();
    let text = "services:\n  b: {labels: {pod.component.y: 'u: 1', pod.component.x: \"i: 1\\nj: 2\"}}\n  a: {image: x}\nname: n\n";
    sources.file("s.yml", "s.yml", text);
    for service in ["a", "b"] {
        let at = Place { label: "s.yml".to_owned(), field: format!("services.{service}.labels") };
        sources.labels_at(&format!("s.yml: {service}: "), at);
    }
    let expected = [
        ("controller", "flags"),
        ("s.yml: b: pod.component.y", "u"),
        ("s.yml: b: pod.component.x", "i"),
        ("s.yml: b: pod.component.x", "j"),
        // Made by a template: at its service.
        ("s.yml: a: pod.component.made", "q"),
        ("s.yml", "services.a.image"),
        ("s.yml", "name"),
    ];
    let mut problems =
        Problems(expected.iter().rev().map(|(label, field)| Problem::new(*label, *field, "x")).collect());
    sources.locate(&mut problems);
    let found: Vec<_> = problems.0.iter().map(|it| (it.label.as_str(), it.field.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn fields_are_found_in_a_file() {
    let sources = file(POD);
    for (field, right) in [
        ("components.app", "6:3|app"),
        ("components.app.environment", "8:5|environment: {A.B: [1], C: 2}"),
        ("components.app.environment.A.B", "8:19|A.B: [1]"),
        ("components.app.environment.A.B[0]", "8:25|1"),
        ("components.app.environment.C", "8:29|C: 2"),
        ("components.app.command", "9:5|command"),
        ("components.über.imag", "12:10|imag: 'it''s'"),
        ("controller.ports[1]", "4:31|x"),
        ("plugins[0]", "14:5|redact"),
        ("plugins[1]", "15:5|reload:"),
        // What comes from a merged map stands there.
        ("components.app.mem_limit", "3:3|mem_limit: 5"),
        // What is missing is missing in what is around it.
        ("components.app.restart.policy", "6:3|app"),
        ("components.web.image", "5:1|components"),
        // Plugins are known by their names.
        ("redact", "14:5|redact"),
        ("reload.watch", "16:7|watch: /x"),
        ("reload.config.watch", "16:7|watch: /x"),
        ("reload.debounce", "15:5|reload"),
    ] {
        assert_eq!(shown(&sources, "pod.yaml", field), format!("dir/pod.yaml:{right}"), "{field}");
    }
    for (label, field) in [("pod.yaml", "volumes"), ("pod.yaml", ""), ("other.yaml", "components.app")] {
        assert_eq!(shown(&sources, label, field), "nowhere", "{label} {field}");
    }
}

#[test]
fn a_label_in_a_stack_file_is_shown_at_its_line_of_the_file() {
    let stack = "\
services:
  web:
    labels:
      pod.component.app: |
        image: busybox

        ports: ['80']
        command:
          - a
          - b
      pod.component.folded: >-
        {image: x,
        tty: maybe}
      pod.component.single: '{image: ''y'', tty: maybe}'
      pod.component.double: \"image: y\\n\\ttty: \\x41maybe\"
      pod.component.plain: image
  list:
    labels:
      - a=b
      - 'pod.component.app=image: 5'
";
    let mut sources = Sources::default();
    sources.file("s.yml", "s.yml", stack);
    for name in ["web", "list", "gone"] {
        let at = Place { label: "s.yml".to_owned(), field: format!("services.{name}.labels") };
        sources.labels_at(&format!("s.yml: {name}: "), at);
    }
    for (label, field, right) in [
        ("web: pod.component.app", "ports", "7:9|ports: ['80']"),
        ("web: pod.component.app", "ports[0]", "7:17|'80'"),
        ("web: pod.component.app", "command[1]", "10:13|b"),
        ("web: pod.component.app", "imag", "4:7|pod.component.app"),
        ("web: pod.component.folded", "tty", "13:9|tty: maybe"),
        ("web: pod.component.single", "tty", "14:45|tty: maybe"),
        ("web: pod.component.plain", "", "16:7|pod.component.plain: image"),
        ("list: pod.component.app", "image", "20:28|image: 5"),
        // A template has made this one.
        ("web: pod.component.made", "image", "2:3|web"),
    ] {
        assert_eq!(shown(&sources, &format!("s.yml: {label}"), field), format!("s.yml:{right}"), "{label} {field}");
    }
    let broken = Problem::new("s.yml: web: pod.component.double", "", "x").point(2, 2);
    assert_eq!(told(&sources, broken), "s.yml:15:42|t", "escapes are one character");
    assert_eq!(shown(&sources, "s.yml: gone: pod.component.app", "image"), "nowhere");
}

#[test]
fn labels_of_a_controller_have_lines_of_their_own() {
    let mut sources = Sources::default();
    sources.label("pod.component.app", "image: x\ntty: maybe\n");
    assert_eq!(shown(&sources, "pod.component.app", "tty"), "-:2:1|tty: maybe");
    assert_eq!(told(&sources, Problem::new("pod.component.app", "", "x").point(2, 4)), "-:2:4|:");
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let text = format!("a: [{}bad, {}]", "good, ".repeat(1_000), "good, ".repeat(1_000));
    let sources = file(&text);
    let mut problems = Problems(vec![Problem::new("pod.yaml", "a[1000]", "x")]);
    sources.locate(&mut problems);
    let span = problems.0[0].span().unwrap();
    assert_eq!((span.column, span.mark, span.length, span.text.len()), (6_005, 40, 3, 120));
    assert_eq!(&span.text[40..43], "bad");
}

/// One line for each that may be shown is enough, and nothing takes the square of their number.
#[test]
fn many_problems_are_located_up_to_a_limit() {
    let text: String = (0..50_000).map(|n| format!("key{n}: 1\n")).collect();
    let sources = file(&text);
    let mut problems = Problems((0..50_000).map(|n| Problem::new("pod.yaml", format!("key{n}"), "x")).collect());
    sources.locate(&mut problems);
    assert_eq!(problems.0.iter().filter(|problem| problem.span().is_some()).count(), IN_ALL);
}

proptest::proptest! {
    /// Whatever the text is, and whatever is asked for, nothing breaks.
    #[test]
    fn any_text_and_field_will_do(text in "[a-c:\\[\\]{}&*<|>'\" \n.-]{0,60}", field in "[a-c.\\[\\]0]{0,12}", line in 0_usize..9, column in 0_usize..9) {
        let mut sources = file(&text);
        sources.labels_at("l: ", Place { label: "pod.yaml".to_owned(), field: "a".to_owned() });
        for label in ["pod.yaml", "l: b"] {
            shown(&sources, label, &field);
            told(&sources, Problem::new(label, "", "x").point(line, column));
        }
    }
}
