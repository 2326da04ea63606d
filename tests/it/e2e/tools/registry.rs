//! Pulls from a registry that asks for a password: Debian's `docker-registry`, reached by the real engine.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outrigger::config::Timeouts;
use outrigger::engine::docker::credentials::Places;
use outrigger::engine::docker::{Access, Docker};
use outrigger::engine::{Engine, Fault};
use serde_json::json;

use crate::support::{IMAGE, engine_or_fail, skip, unique};

/// Its base64 form, alone and within the header, has characters that are others in the alphabet for URLs.
const PASSWORD: &str = "pass?>~~þÿ";

/// `htpasswd -Bbn -C 4 user PASSWORD`.
const USERS: &str = "user:$2y$04$3CRBjTKXJiURQOsiqqjg3upj.HA/kMoRsKvD7tagTW66Zpd11dCbe\n";

struct Registry {
    process: Child,
    directory: tempfile::TempDir,
    address: String,
    image: String,
}

impl Registry {
    /// None where the program is missing and no test must run.
    fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        fs::write(directory.path().join("users"), USERS).unwrap();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{path}/data'}}}}\nhttp: {{addr: '127.0.0.1:0'}}\nauth: {{htpasswd: {{realm: test, path: '{path}/users'}}}}\n"
        );
        let file = directory.path().join("registry.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                skip::missing(format!("`docker-registry`: {error}"));
                return None;
            }
        };
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let listening = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("listening on 127.0.0.1:")?;
            Some(rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        });
        let address = format!("127.0.0.1:{}", listening.expect("the registry tells its port"));
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let image = format!("{address}/{}:1", unique("tools2", "private"));
        Some(Self { process, directory, address, image })
    }

    /// A folder with a docker command's file.
    fn config(&self, name: &str, content: &serde_json::Value) -> PathBuf {
        let folder = self.directory.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), content.to_string()).unwrap();
        folder
    }

    fn login(&self, password: &str) -> serde_json::Value {
        json!({"auths": {&self.address: {"auth": STANDARD.encode(format!("user:{password}"))}}})
    }

    /// Leaves the image in the registry alone.
    fn push(&self) {
        let config = self.config("push", &self.login(PASSWORD));
        docker(&config, &["tag", IMAGE, &self.image]);
        docker(&config, &["push", &self.image]);
        docker(&config, &["image", "rm", &self.image]);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
        let _removed = Command::new("docker").args(["image", "rm", &self.image]).output();
    }
}

fn docker(config: &Path, words: &[&str]) {
    let done = Command::new("docker").arg("--config").arg(config).args(words).output().expect("`docker` runs");
    assert!(done.status.success(), "docker {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The engine, with the credentials of one file.
fn with(file: PathBuf) -> Docker {
    let address = std::env::var("DOCKER_HOST").ok();
    let access = Access { credentials: Places::new(vec![file]), ..Access::plain(address.as_deref()) };
    Docker::open(access, &Timeouts { pull: Duration::from_secs(60), ..Timeouts::default() }).unwrap()
}

#[tokio::test]
async fn private_images_are_pulled_with_what_the_file_says_now() {
    let Some(plain) = engine_or_fail().await else { return };
    let Some(registry) = Registry::start() else { return };
    let (image, address) = (registry.image.as_str(), registry.address.as_str());
    registry.push();
    assert!(!plain.has_image(image).await.unwrap(), "the pull brings it");

    // Nothing mounted.
    let error = plain.pull(image).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains(&format!("there are no credentials for registry `{address}`")), "{told}");
    assert_eq!(error.fault(), Fault::Permanent, "{told}");

    // A file without this registry, then with a wrong password, then with the right one: the same engine reads it each time.
    let folder = registry.config("mounted", &json!({"auths": {"quay.io": {"auth": STANDARD.encode("a:b")}}}));
    let file = folder.join("config.json");
    let engine = with(file.clone());
    let told = engine.pull(image).await.unwrap_err().to_string();
    assert!(told.ends_with(&format!("no credentials for registry `{address}` in `{}`", file.display())), "{told}");

    registry.config("mounted", &registry.login("hunter2"));
    let told = engine.pull(image).await.unwrap_err().to_string();
    assert!(
        told.ends_with(&format!("the credentials for registry `{address}` are from `{}`", file.display())),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");

    registry.config("mounted", &registry.login(PASSWORD));
    engine.pull(image).await.expect("it is pulled");
    assert!(plain.has_image(image).await.unwrap());

    // podlike's file: `auths` and nothing else, the user and the password apart.
    docker(&folder, &["image", "rm", image]);
    let entry = json!({"username": "user", "password": PASSWORD, "serveraddress": address});
    let podlike = registry.directory.path().join("dockerregistryauth.json");
    fs::write(&podlike, json!({"auths": {address: entry}}).to_string()).unwrap();
    with(podlike).pull(image).await.expect("it is pulled with podlike's file");
    assert!(plain.has_image(image).await.unwrap());
}
