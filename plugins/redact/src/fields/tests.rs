use super::*;

fn found<'a>(names: &[&str], text: &'a str) -> Vec<&'a str> {
    let names = Names::new(names.iter().enumerate().map(|(label, name)| (name.as_bytes().to_vec(), label)));
    let mut all = Vec::new();
    names.find(text.as_bytes(), &Work::for_line(text.len(), &std::rc::Rc::default()), &mut |span| {
        all.push(&text[span.start..span.end])
    });
    assert!(all.is_empty() || names.suspects(text.as_bytes()), "`suspects` must not miss `{text}`");
    all
}

#[test]
fn names_count_in_every_way_to_write_them() {
    for key in [
        "api_key",
        "API_KEY",
        "api-key",
        "Api-Key",
        "apiKey",
        "APIKey",
        "apikey",
        "X-Api-Key",
        "my.api_key",
        "stripeApiKey",
    ] {
        assert_eq!(found(&["api_key"], &format!("{key}=x1")), ["x1"], "{key}");
        assert_eq!(found(&["apiKey"], &format!("{key}=x1")), ["x1"], "{key}");
    }
    assert_eq!(found(&["pw"], "dbPw=1 db_pw=2 PW=3 oauth2Pw=4 -Dpw=5"), ["1", "2", "3", "4", "5"]);
    assert_eq!(found(&["password"], "PGPASSWORD=1 bmcpassword=2 password2=3"), ["1", "2", "3"]);
}

#[test]
fn other_words_are_no_names() {
    for text in ["xpw=1", "XPW=1", "pwx=1", "pw_file=1", "pw-file=1", "pw.file=1", "pwé=1", "épw=1", "pws=1", "pw2=1"]
    {
        assert_eq!(found(&["pw"], text), Vec::<&str>::new(), "{text}");
    }
    for text in ["passwordless=1", "password_file=1", "passwords=1", "pass word=1"] {
        assert_eq!(found(&["password"], text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn many_names_are_all_found() {
    let names: Vec<String> =
        (b'a'..=b'z').map(|letter| format!("{}field{}", char::from(letter), char::from(letter))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        assert_eq!(found(&names, &format!("x=1 {name}=secret y=2")), ["secret"], "{name}");
    }
    assert_eq!(found(&["key", "api_key"], "api_key=a key=b"), ["a", "b"]);
    assert_eq!(found(&["e\"x", "-", "ключ"], "e\"x=1 -=2 ключ=3"), ["1", "2", "3"]);
}
