//! Clients of a service: requests one after the other, each to whichever node answers, as a load balancer does it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Requests at the same time.
const CLIENTS: usize = 4;

/// Pause of a client between two requests.
const PAUSE: Duration = Duration::from_millis(20);

/// Longest time for one try.
const LIMIT: Duration = Duration::from_millis(700);

/// What came of the requests.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Answers, by what they said.
    answered: BTreeMap<String, u64>,
    /// Tries that another node had to make good.
    pub retried: u64,
    /// Requests that no node answered.
    pub failed: u64,
}

impl Counted {
    pub fn answers(&self, text: &str) -> u64 {
        self.answered.get(text).copied().unwrap_or_default()
    }
}

/// Requests under way, until it is stopped.
pub struct Load {
    counted: Arc<Mutex<Counted>>,
    clients: JoinSet<()>,
}

impl Load {
    pub fn start(addresses: Vec<String>) -> Self {
        let counted = Arc::new(Mutex::new(Counted::default()));
        let mut clients = JoinSet::new();
        for first in 0..CLIENTS {
            clients.spawn(client(addresses.clone(), first, Arc::clone(&counted)));
        }
        Self { counted, clients }
    }

    pub fn counted(&self) -> Counted {
        self.counted.lock().unwrap().clone()
    }

    pub async fn stop(mut self) -> Counted {
        assert_eq!(self.clients.len(), CLIENTS, "a client ends only when it is told to");
        assert!(self.clients.try_join_next().is_none(), "no client has failed");
        self.clients.shutdown().await;
        self.counted()
    }
}

async fn client(addresses: Vec<String>, first: usize, counted: Arc<Mutex<Counted>>) {
    let mut at = first;
    loop {
        at += 1;
        let mut answer = None;
        let mut tries = 0;
        while answer.is_none() && tries < addresses.len() {
            answer = get(&addresses[(at + tries) % addresses.len()], "/", LIMIT).await.ok();
            tries += 1;
        }
        // Where nobody answered, once more in full: the last one may have come up while the first ones were tried.
        for address in &addresses {
            if answer.is_none() {
                answer = get(address, "/", LIMIT).await.ok();
                tries += 1;
            }
        }
        {
            let mut counted = counted.lock().unwrap();
            counted.retried += u64::try_from(tries).unwrap() - 1;
            match answer {
                Some(text) => *counted.answered.entry(text).or_default() += 1,
                None => counted.failed += 1,
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The body of a whole answer.
pub async fn get(address: &str, path: &str, limit: Duration) -> io::Result<String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: web\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        if head.contains(" 200 ") && !body.is_empty() {
            Ok(body.trim().to_owned())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    };
    timeout(limit, ask).await?
}
