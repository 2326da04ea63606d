//! A port of the host that somebody else has.

use anyhow::anyhow;

use crate::cli::report::Report;
use crate::engine::EngineError;
use crate::engine::docker::Docker;

/// A port that the engine could not publish.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    address: String,
    port: u16,
}

/// Why the controller's container was not started, with what helps.
pub(super) async fn not_started(engine: &Docker, error: EngineError) -> Report {
    let EngineError::Refused { message, .. } = &error else { return error.into() };
    let Some(taken) = taken(message) else { return error.into() };
    // The port is known; who has it is a bonus.
    let holders = engine.publishing(taken.port).await.unwrap_or_default();
    told(&taken, &holders)
}

fn told(Taken { address, port }: &Taken, holders: &[String]) -> Report {
    let others = "or choose another port in `controller.ports`";
    let hint = match holders {
        [] => format!(
            "no container of this engine publishes the port, so a process of the host has it: `ss -ltnp` lists them; end the process, {others}"
        ),
        [name] => format!("container `{name}` publishes it: `docker stop {name}`, {others}"),
        names => format!("containers `{}` publish it: stop them, {others}", names.join("`, `")),
    };
    Report::new(anyhow!("port {port} of the host is already in use (`{address}:{port}`)")).hint(hint)
}

/// The port in the engine's words, such as `driver failed programming …: Bind for 0.0.0.0:80 failed: port is already allocated` or `… listen tcp4 0.0.0.0:80: bind:
/// address already in use`.
fn taken(message: &str) -> Option<Taken> {
    let end = [" failed: port is already allocated", ": bind: address already in use"]
        .iter()
        .find_map(|end| message.find(end))?;
    let place = message.get(..end)?.split_whitespace().next_back()?;
    let (address, port) = place.rsplit_once(':')?;
    Some(Taken { address: address.to_owned(), port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_the_engines_words() {
        for (message, address, port) in [
            (
                "driver failed programming external connectivity on endpoint web (0c1d2e): Bind for 0.0.0.0:18080 failed: port is already allocated",
                "0.0.0.0",
                18080,
            ),
            (
                "driver failed programming external connectivity on endpoint web (0c1d2e): Bind for :::80 failed: port is already allocated",
                "::",
                80,
            ),
            (
                "driver failed programming external connectivity on endpoint web (0c1d2e): Error starting userland proxy: listen tcp4 127.0.0.1:22: bind: address already in use",
                "127.0.0.1",
                22,
            ),
        ] {
            assert_eq!(taken(message), Some(Taken { address: address.to_owned(), port }), "{message}");
        }
        for other in ["no such image", "Bind for nowhere failed: port is already allocated", "x"] {
            assert_eq!(taken(other), None, "{other}");
        }
    }

    #[test]
    fn who_has_the_port_is_named() {
        let taken = Taken { address: "0.0.0.0".to_owned(), port: 80 };
        let of = |holders: &[&str]| {
            told(&taken, &holders.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).text(false)
        };
        let one = of(&["web"]);
        assert!(one.contains("port 80 of the host is already in use (`0.0.0.0:80`)"), "{one}");
        assert!(one.contains("container `web` publishes it: `docker stop web`, or choose another port"), "{one}");
        assert!(of(&["a", "b"]).contains("containers `a`, `b` publish it"));
        assert!(of(&[]).contains("`ss -ltnp`"));
    }
}
