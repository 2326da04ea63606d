use serde_json::{Value, json};

use super::*;

/// `user:pass?>~~`: its base64 form has characters that the alphabet for URLs does not have.
const SECRET_PASSWORD: &str = "pass?>~~\u{fe}\u{ff}";

async fn look(files: &[&str], image: &str) -> (Found, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut places = Vec::new();
    for (number, text) in files.iter().enumerate() {
        let path = directory.path().join(format!("{number}.json"));
        std::fs::write(&path, text).unwrap();
        places.push(path);
    }
    (Places::new(places).find(image).await, directory)
}

fn sent(found: &Found) -> Option<Value> {
    let header = found.header()?;
    assert!(header.is_sensitive());
    Some(serde_json::from_slice(&URL_SAFE.decode(header.as_bytes()).unwrap()).unwrap())
}

fn refused(message: &str) -> EngineError {
    EngineError::Refused { verb: "pull image", object: "`x`".into(), message: message.into(), fault: Fault::Transient }
}

#[test]
fn references_by_their_grammar() {
    for (image, registry, repository) in [
        ("nginx", "docker.io", "nginx"),
        ("nginx:1.27", "docker.io", "nginx"),
        ("user/app", "docker.io", "user/app"),
        ("user/app:1@sha256:ab", "docker.io", "user/app"),
        ("docker.io/user/app", "docker.io", "user/app"),
        ("index.docker.io/user/app", "docker.io", "user/app"),
        ("registry:5000/x", "registry:5000", "x"),
        ("registry:5000/x/y:1", "registry:5000", "x/y"),
        ("localhost/x", "localhost", "x"),
        ("quay.io/acme/x@sha256:ab", "quay.io", "acme/x"),
        ("Registry/x", "Registry", "x"),
        ("[::1]:5000/x", "[::1]:5000", "x"),
    ] {
        assert_eq!(Reference::parse(image), Reference { registry, repository }, "{image}");
    }
}

#[tokio::test]
async fn docker_hub_has_three_names() {
    for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://docker.io"] {
        let file = json!({"auths": {key: {"auth": STANDARD.encode("user:word")}}}).to_string();
        for image in ["nginx", "user/app:1", "docker.io/library/nginx"] {
            let (found, _directory) = look(&[&file], image).await;
            let expected = json!({"username": "user", "password": "word", "serveraddress": HUB_KEY});
            assert_eq!(sent(&found), Some(expected), "{key} {image}");
        }
        let (found, _directory) = look(&[&file], "quay.io/user/app").await;
        assert!(sent(&found).is_none(), "another registry gets nothing of it");
    }
}

#[tokio::test]
async fn every_form_of_an_entry() {
    let auth = STANDARD.encode(format!("user:{SECRET_PASSWORD}"));
    for (entry, expected) in [
        (json!({"auth": auth}), json!({"username": "user", "password": SECRET_PASSWORD})),
        (json!({"username": "u", "password": "p", "email": "e"}), json!({"username": "u", "password": "p"})),
        (
            json!({"auth": auth, "username": "u", "password": "p"}),
            json!({"username": "user", "password": SECRET_PASSWORD}),
        ),
        (json!({"auth": STANDARD.encode("u:p:q\0\0")}), json!({"username": "u", "password": "p:q"})),
        (json!({"auth": STANDARD.encode("u:"), "identitytoken": "t"}), json!({"username": "u", "identitytoken": "t"})),
        (json!({"registrytoken": "t"}), json!({"registrytoken": "t"})),
    ] {
        let file = json!({"auths": {"r:1": entry}}).to_string();
        let (found, _directory) = look(&[&file], "r:1/x").await;
        let mut expected = expected;
        expected["serveraddress"] = json!("r:1");
        assert_eq!(sent(&found), Some(expected), "{file}");
    }
}

#[tokio::test]
async fn the_nearest_key_wins() {
    let auth = |user: &str| json!({"username": user, "password": "p"});
    let file = json!({"auths": {
        "https://r.io/v2/": auth("api"), "r.io": auth("host"), "r.io/team": auth("team"), "r.io/team/app": auth("app"),
        "ftp://r.io": auth("ftp"), "xr.io": auth("other"),
    }})
    .to_string();
    for (image, user) in
        [("r.io/x", "host"), ("r.io/team/x", "team"), ("r.io/team/app:1", "app"), ("r.io/teamwork/x", "host")]
    {
        let (found, _directory) = look(&[&file], image).await;
        assert_eq!(sent(&found).unwrap()["username"], user, "{image}");
    }
}

#[tokio::test]
async fn the_first_file_with_an_entry_decides_and_broken_ones_are_passed_over() {
    let good = json!({"auths": {"r.io": {"username": "u", "password": "p"}}}).to_string();
    let (found, directory) = look(&["{\"auths\": \"hunter2\"}", "{}", "{\"auths\": null}", &good], "r.io/x").await;
    assert_eq!(sent(&found).unwrap()["username"], "u");
    assert_eq!(found.file, Some(directory.path().join("3.json")));
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    assert!(found.notes[0].contains("is damaged at line 1, column"), "{found:?}");

    let none = Places::new(vec!["/nowhere/config.json".into(), "/dev/null/config.json".into()]).find("r.io/x").await;
    assert!(none.looked.is_empty() && none.notes.is_empty());
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let odd = Places::new(vec![pipe]).find("r.io/x").await;
    assert_eq!(odd.notes.len(), 1, "a pipe is not waited for");
}

#[tokio::test]
async fn helpers_can_not_run() {
    let helper = json!({"credHelpers": {"r.io": "ecr-login"}, "credsStore": "desktop"}).to_string();
    let (found, directory) = look(&[&helper], "r.io/x").await;
    let told = found.explain(refused("unauthorized")).to_string();
    let file = directory.path().join("0.json");
    let file = file.display();
    assert_eq!(
        told,
        format!(
            "cannot pull image `x`: unauthorized; there are no credentials for registry `r.io` in `{file}`; `{file}` refers to the helper `docker-credential-ecr-login`, which cannot run here: write the credentials into `auths` of this file"
        )
    );
    let store = json!({"auths": {"r.io": {}}, "credsStore": "desktop"}).to_string();
    let (found, _directory) = look(&[&store], "r.io/x").await;
    assert!(found.notes[0].contains("docker-credential-desktop"), "{found:?}");
}

#[tokio::test]
async fn refusals_name_the_registry_and_the_file() {
    let file = json!({"auths": {"r.io": {"auth": STANDARD.encode("user:hunter2")}}}).to_string();
    let (found, directory) = look(&[&file], "r.io/x").await;
    let error = found.explain(refused("unauthorized: incorrect username or password"));
    assert_eq!(error.fault(), Fault::Permanent);
    let place = directory.path().join("0.json");
    assert!(
        error.to_string().ends_with(&format!("; the credentials for registry `r.io` are from `{}`", place.display())),
        "{error}"
    );
    assert!(!format!("{found:?} {error:?}").contains("hunter2"));

    let none = Places::none().find("nginx").await;
    let error = none.explain(refused("pull access denied for nginx"));
    assert!(
        error
            .to_string()
            .ends_with("no credentials for registry `docker.io`: mount the `config.json` of `docker login`"),
        "{error}"
    );
}

#[tokio::test]
async fn entries_that_say_nothing_usable_are_told() {
    for (entry, why) in [
        (json!({"auth": "%%%"}), "`auth` is not the base64 form of `user:password`"),
        (json!({"auth": STANDARD.encode("user")}), "`auth` is not the base64 form of `user:password`"),
        (json!({"username": "u"}), "the password is missing"),
        (json!({"password": "p"}), "the user name is missing"),
    ] {
        let (found, _directory) = look(&[&json!({"auths": {"r.io": entry}}).to_string()], "r.io/x").await;
        assert!(found.header().is_none() && found.notes[0].ends_with(why), "{found:?}");
    }
}

#[test]
fn places_follow_the_environment() {
    let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let files = |env| Places::of(&env).files().map(|file| file.display().to_string()).collect::<Vec<_>>();
    let rest = [SECRET, PODLIKE[0], PODLIKE[1]];
    assert_eq!(files(env(&[("HOME", "/root")])), [&["/root/.docker/config.json"], &rest[..]].concat());
    assert_eq!(
        files(env(&[("HOME", "/home/me")])),
        [&["/home/me/.docker/config.json", "/root/.docker/config.json"], &rest[..]].concat()
    );
    assert_eq!(files(env(&[("HOME", "/h"), ("DOCKER_CONFIG", "/cfg")])), [&["/cfg/config.json"], &rest[..]].concat());
}
