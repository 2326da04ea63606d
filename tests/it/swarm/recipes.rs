//! The recipes of `docs/operations.md`, as they are written there, on a real Swarm: only the names of the stack and of the images are others.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{STAYS, Stack, Swarm, Tag, said};
use crate::support::IMAGE;

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap()
}

/// The block of the page with this in it.
fn block(kind: &str, with: &str) -> String {
    let (page, fence) = (page(), format!("```{kind}\n"));
    let mut blocks = page.split(&fence).skip(1).filter_map(|block| block.split("```").next());
    blocks.find(|block| block.contains(with)).unwrap_or_else(|| panic!("no recipe with `{with}`")).to_owned()
}

/// The command of the page in the middle of a sentence.
fn command(text: &str) -> String {
    assert!(page().contains(&format!("`{text}`")), "no recipe `{text}`");
    text.to_owned()
}

struct Shop<'s> {
    stack: &'s Stack<'s>,
    second: &'s str,
}

impl Shop<'_> {
    /// With the names of this stack.
    fn of(&self, recipe: &str) -> String {
        recipe
            .replace("acme/calc:1.4", IMAGE)
            .replace("acme/calc:1.5", self.second)
            .replace("\"nginx-", &format!("\"{}-nginx-", self.stack.name))
            .replace("shop", &self.stack.name)
            .replace("outrigger deploy ", "outrigger deploy --resolve-image never ")
    }

    /// Runs a recipe beside the stack file; it has to succeed.
    fn follow(&self, recipe: &str) -> String {
        let recipe = self.of(recipe);
        let program = Path::new(env!("CARGO_BIN_EXE_outrigger")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-euc", &recipe]).current_dir(self.stack.directory.path()).env("PATH", path);
        said(&[&recipe], &self.stack.swarm.of(shell).output().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.stack.directory.path().join(name), text).unwrap();
    }

    fn docker(&self, words: &[&str]) -> String {
        self.stack.swarm.docker(words)
    }

    fn calc(&self) -> String {
        self.of("shop_calc")
    }

    /// The running container of a component.
    fn container(&self, component: &str) -> String {
        let format = "{{.Names}}";
        let task = format!("label=com.docker.swarm.service.name={}", self.calc());
        let controller = self.docker(&["ps", "--filter", &task, "--format", format]);
        format!("{controller}.podlike.{component}")
    }

    fn nights(&self) -> usize {
        std::fs::read_to_string(self.stack.directory.path().join("nights")).map_or(0, |text| text.lines().count())
    }
}

#[tokio::test]
async fn the_recipes_of_the_documentation_do_what_they_promise() {
    let Some(swarm) = Swarm::find().await else { return };
    let (mut stack, tag) = (Stack::new(&swarm, "recipes"), Tag::new(&swarm));
    stack.service = "calc";
    let shop = Shop { stack: &stack, second: &tag.1 };
    let stays = serde_json::to_string(STAYS).unwrap();
    let directory = stack.directory.path().display();
    let image = &swarm.image;
    let configs = block("yaml", "NGINX_VERSION");
    let text = format!(
        r#"
version: '3.8'
services:
  calc:
    image: {image}
    labels:
      pod.component.app: |
        image: acme/calc:1.4
        command: [sh, -c, {stays}]
        restart: always
      pod.component.web: |
        image: {IMAGE}
        command: [sh, -c, 'until [ -e /tmp/end ]; do sleep 0.1; done; exit 3']
        volumes: ['shop_data:/data']
      pod.copy.app: /nginx:/etc/nginx.conf
      pod.options: '{{settle: 0s}}'
    configs: [nginx]
    volumes: ['/var/run/docker.sock:/var/run/docker.sock', 'data:/data']
    deploy: {{endpoint_mode: dnsrr, restart_policy: {{condition: none}}, update_config: {{monitor: 2s}}}}
  nightly:
    image: {image}
    labels:
      pod.component.work: |
        image: {IMAGE}
        command: [sh, -c, 'echo done >> /out/nights']
        role: job
        volumes: ['{directory}:/out']
    volumes: ['/var/run/docker.sock:/var/run/docker.sock']
    deploy: {{mode: replicated-job, endpoint_mode: dnsrr}}
volumes: {{data: {{}}}}
{configs}"#
    );
    shop.write("stack.yml", &shop.of(&text));
    shop.write("nginx.conf", "first");
    let (_, deploy) = configs.split_once("# ").unwrap();
    let out = shop.follow(&deploy.replace("VERSION=2", "VERSION=1"));
    assert!(out.contains(&format!("component `app`: image `{IMAGE}`")), "{out}");
    assert_eq!(shop.nights(), 1, "the job has run: {out}");

    // A new version of the application, and of a config, in one update.
    shop.write("nginx.conf", "second");
    let version = block("sh", "sed -i 's|acme/calc:1.4");
    let out = shop.follow(&format!("export {}\n{version}", deploy.split(' ').next().unwrap()));
    assert!(out.contains(&format!("component `app`: image `{IMAGE}` -> `{}`", tag.1)), "{out}");
    assert!(out.contains(&format!("service `{}`: the update is complete", shop.calc())), "{out}");
    let app = shop.container("app");
    assert_eq!(shop.docker(&["exec", &app, "cat", "/etc/nginx.conf"]), "second");
    let listed: Value = serde_json::from_slice(&swarm.outrigger(&["ps", "--json"]).stdout).unwrap();
    let pod = listed.as_array().unwrap().iter().find(|pod| pod["service"] == shop.calc().as_str()).unwrap();
    assert_eq!(pod["images"]["app"], tag.1.as_str());
    assert!(page().contains("Swarm also runs such a job again at each deployment of its stack"));
    assert_eq!(shop.nights(), 2);

    // Periodic work.
    shop.follow(&command("docker service update --force shop_nightly"));
    stack.wait_for("the job has run again", || shop.nights() == 3);

    // One component is started again, and the other one goes on.
    let began = |name: &str| shop.docker(&["inspect", "--format", "{{.State.StartedAt}}", &shop.container(name)]);
    let before = (began("app"), began("web"));
    shop.follow(&block("sh", "docker stop calc.podlike.app").replace("calc.podlike.app", &app));
    stack.wait_for("the component runs again", || {
        !shop.docker(&["ps", "-q", "--filter", &format!("name={app}")]).is_empty() && began("app") != before.0
    });
    assert_eq!(began("web"), before.1);

    // Both times of a service.
    shop.follow(&block("sh", "--stop-grace-period 40s"));
    let id = shop.docker(&["ps", "-q", "--filter", &format!("label=com.docker.swarm.service.name={}", shop.calc())]);
    let planned: Value =
        serde_json::from_slice(&swarm.outrigger(&["plan", "--json", "--container", &id]).stdout).unwrap();
    assert_eq!(planned[0]["plan"]["stop_budget_ms"], 38_500, "the grace period is 40 s: {planned}");
    let grace =
        ["service", "inspect", "--format", "{{.Spec.TaskTemplate.ContainerSpec.StopGracePeriod}}", &shop.calc()];
    assert_eq!(shop.docker(&grace), "40s");

    // The container of a failed component remains, and holds its volume, until the recipe for it removes both.
    shop.docker(&["exec", &shop.container("web"), "touch", "/tmp/end"]);
    let of_all = shop.of(&filter_of_a_stack());
    let kept = |filters: &[&str]| shop.docker(&[&["ps", "-aq"], filters].concat());
    let own = shop.of("label=outrigger.service=shop_calc");
    let one = ["--filter", &own, "--filter", "name=.failed-"];
    stack.wait_for("the failed component is kept", || !kept(&one).is_empty());
    assert_eq!(kept(&one), kept(&["--filter", &of_all]), "for all services of a stack at once");
    shop.docker(&["stack", "rm", &stack.name]);
    let of_stack = format!("label=com.docker.stack.namespace={}", stack.name);
    let of_service = format!("label=com.docker.swarm.service.name={}", shop.calc());
    stack.wait_for("Swarm has removed the tasks", || kept(&["--filter", &of_service]).is_empty());
    let volume = shop.of("shop_data");
    let in_use = swarm.of(Command::new("docker")).args(["volume", "rm", &volume]).output().unwrap();
    assert!(String::from_utf8_lossy(&in_use.stderr).contains("volume is in use"), "{in_use:?}");
    shop.follow(&block("sh", "docker volume rm"));
    let jobs = "docker rm $(docker ps -aq --filter label=com.docker.stack.namespace=shop --filter status=exited)";
    shop.follow(&command(jobs));
    assert_eq!((kept(&one), kept(&["--filter", &of_stack])), (String::new(), String::new()));
    assert_eq!(shop.docker(&["volume", "ls", "-q", "--filter", &of_stack]), "");
}

/// The filter of the recipe, which holds for all services of a stack.
fn filter_of_a_stack() -> String {
    let recipe = block("sh", "docker volume rm");
    let (_, filter) = recipe.split_once("--filter '").unwrap();
    filter.split('\'').next().unwrap().to_owned()
}
