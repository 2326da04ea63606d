//! WASI as granted: nothing but clocks, random numbers and the log, unless the pod says so.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::http::uri::Scheme;
use hyper::{Request, Response};
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView, WasiSocketsView};
use wasmtime_wasi::{FsPerms, WasiCtx};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::plugin::imports::grants::Granter;
use crate::plugin::imports::logging::{LastWords, Level, LogPipe};
use crate::plugin::imports::place::Place;
use crate::plugin::instance::guest::{Guest, Phase};
use crate::pod::Capability;
use crate::pod::capability::dir_scope;

/// Most random bytes of one call.
const RANDOM: u64 = 64 << 10;
/// How long a name's addresses are believed.
const RESOLVED_FOR: Duration = Duration::from_secs(5);

/// A guest's part of WASI.
pub struct Wasi {
    /// For everything but HTTP.
    pub ctx: WasiCtx,
    /// For HTTP.
    pub gate: Gate,
    /// What it wrote to its standard error.
    pub last_words: LastWords,
    /// Where its own log lines go.
    pub log: LogPipe,
    /// Whether hooks are being called: no network before.
    pub running: Arc<AtomicBool>,
}

impl Wasi {
    /// What the granter allows, as far as it is to be had in this place.
    ///
    /// # Errors
    /// Where a granted directory can't be opened.
    pub fn new(granter: &Arc<Granter>, place: &Place) -> Result<Self, String> {
        let running = Arc::new(AtomicBool::new(false));
        let mut builder = WasiCtx::builder();
        builder.max_random_size(RANDOM);
        builder.stdout(LogPipe::new(granter.plugin(), Level::Info, None));
        let log = LogPipe::new(granter.plugin(), Level::Info, None);
        let last_words = LastWords::default();
        builder.stderr(LogPipe::new(granter.plugin(), Level::Warn, Some(last_words.clone())));
        for (name, value) in place.variables() {
            if granter.check(Capability::Env, &name).is_ok() {
                builder.env(name, value);
            }
        }
        let gate = Gate { granter: Arc::clone(granter), running: Arc::clone(&running), here: place.is_controller() };
        if !place.is_controller() {
            return Ok(Self { ctx: builder.build(), gate, last_words, log, running });
        }
        for scope in granter.both(Capability::Dir) {
            let (path, writes) = dir_scope(&scope);
            let perms = if writes { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            let opened = builder.preopened_dir(path, path, perms);
            opened.map_err(|error| format!("cannot open directory `{path}`: {error}"))?;
        }
        if !granter.both(Capability::Tcp).is_empty() {
            builder.allow_tcp(true);
            // Which names may be asked for is checked by `Names`.
            builder.allow_ip_name_lookup(true);
            let doorman = Arc::new(Doorman { granter: Arc::clone(granter), resolved: Mutex::default() });
            let open = Arc::clone(&running);
            builder.socket_addr_check(move |address, usage| {
                let (doorman, open) = (Arc::clone(&doorman), open.load(Ordering::Relaxed));
                Box::pin(async move { open && doorman.admits(address, usage).await })
            });
        }
        Ok(Self { ctx: builder.build(), gate, last_words, log, running })
    }
}

/// Links WASI 0.2 and outgoing HTTP; what is not granted answers an error.
///
/// # Errors
/// Only where a name is linked twice.
pub fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    ip_name_lookup::add_to_linker::<Guest, Names>(linker, |guest| Lookup {
        open: guest.phase == Phase::Running && guest.shared.place.is_controller(),
        granter: Arc::clone(&guest.shared.granter),
        sockets: guest.sockets(),
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Decides about TCP connections. A name is resolved when it is needed, not once: the addresses of a Swarm service change.
struct Doorman {
    granter: Arc<Granter>,
    resolved: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Doorman {
    async fn admits(&self, address: SocketAddr, usage: SocketAddrUse) -> bool {
        match usage {
            SocketAddrUse::TcpConnect => {}
            // A socket that connects is bound to no address in particular first.
            SocketAddrUse::TcpBind => return address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpListen
            | SocketAddrUse::TcpAccept
            | SocketAddrUse::UdpBind
            | SocketAddrUse::UdpSend
            | SocketAddrUse::UdpReceive => return false,
        }
        let ip = address.ip().to_canonical();
        if self.granter.check(Capability::Tcp, &format!("{ip}:{}", address.port())).is_ok() {
            return true;
        }
        for scope in self.granter.both(Capability::Tcp) {
            let Some((host, port)) = scope.rsplit_once(':') else { continue };
            let port_fits = port == "*" || port.parse() == Ok(address.port());
            if port_fits && self.addresses(host).await.contains(&ip) {
                return true;
            }
        }
        false
    }

    async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let known = self.resolved.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned();
        if let Some((when, addresses)) = known
            && when.elapsed() < RESOLVED_FOR
        {
            return addresses;
        }
        let name = host.to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 0))
                .map(|found| found.map(|address| address.ip().to_canonical()).collect::<Vec<_>>())
        });
        let addresses = asked.await.map_err(io::Error::other).flatten().unwrap_or_default();
        let entry = (Instant::now(), addresses.clone());
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), entry);
        addresses
    }
}

/// Looks up granted names only: a lookup of any other could carry data out.
struct Names;

impl HasData for Names {
    type Data<'a> = Lookup<'a>;
}

struct Lookup<'a> {
    open: bool,
    granter: Arc<Granter>,
    sockets: WasiSocketsCtxView<'a>,
}

impl network::HostNetwork for Lookup<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.sockets, network)
    }
}

impl network::Host for Lookup<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        network::Host::convert_error_code(&mut self.sockets, error)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.sockets, error)
    }
}

impl ip_name_lookup::Host for Lookup<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ip_name_lookup::ResolveAddressStream>, SocketError> {
        let granted = self.granter.both(Capability::Tcp).iter().any(|scope| {
            scope == "*" || scope.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case(&name))
        });
        if !self.open || !granted {
            return Err(ErrorCode::AccessDenied.into());
        }
        ip_name_lookup::Host::resolve_addresses(&mut self.sockets, network, name)
    }
}

impl ip_name_lookup::HostResolveAddressStream for Lookup<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        ip_name_lookup::HostResolveAddressStream::resolve_next_address(&mut self.sockets, stream)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        ip_name_lookup::HostResolveAddressStream::subscribe(&mut self.sockets, stream)
    }

    fn drop(&mut self, stream: Resource<ip_name_lookup::ResolveAddressStream>) -> wasmtime::Result<()> {
        ip_name_lookup::HostResolveAddressStream::drop(&mut self.sockets, stream)
    }
}

/// Decides about outgoing HTTP requests.
pub struct Gate {
    granter: Arc<Granter>,
    running: Arc<AtomicBool>,
    /// Whether this is the controller, whose network was granted.
    here: bool,
}

type Sent =
    wasmtime_wasi_http::Result<(Response<WasiBody>, Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>)>;

impl Gate {
    fn admits(&self, request: &Request<WasiBody>) -> Result<(), String> {
        if !self.here {
            return Err("`http` can be used only in the pod's controller".to_owned());
        }
        if !self.running.load(Ordering::Relaxed) {
            return Err("`http` cannot be used before the first hook".to_owned());
        }
        let uri = request.uri();
        let authority = uri.authority().ok_or("the request has no host")?;
        let usual = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(usual);
        let scope = format!("{}:{port}", authority.host());
        self.granter.check(Capability::Http, &scope).map_err(|denied| denied.to_string())
    }
}

impl WasiHttpHooks for Gate {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if let Err(why) = self.admits(&request) {
            tracing::warn!(plugin = %self.granter.plugin(), why, "an HTTP request of the plugin was refused");
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        Box::new(async move {
            let (response, connection) = wasmtime_wasi_http::default_send_request(request, options).await?;
            let connection: Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send> = Box::new(connection);
            Ok((response.map(http_body_util::BodyExt::boxed_unsync), connection))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::{Grant, PluginName};

    fn granter(scopes: &[&str]) -> Arc<Granter> {
        let grants: Vec<_> = scopes.iter().map(|scope| Grant::new(Capability::Tcp, *scope)).collect();
        let star = vec![Grant::new(Capability::Tcp, "*")];
        Arc::new(Granter::new(PluginName::new("p").unwrap(), star, grants, None))
    }

    async fn admits(scopes: &[&str], address: &str, usage: SocketAddrUse) -> bool {
        let doorman = Doorman { granter: granter(scopes), resolved: Mutex::default() };
        doorman.admits(address.parse().unwrap(), usage).await
    }

    #[tokio::test]
    async fn connections_go_to_granted_hosts_and_ports_only() {
        use SocketAddrUse::{TcpBind, TcpConnect, TcpListen, UdpSend};
        assert!(admits(&["127.0.0.1:80"], "127.0.0.1:80", TcpConnect).await);
        assert!(!admits(&["127.0.0.1:80"], "127.0.0.1:81", TcpConnect).await);
        assert!(!admits(&["127.0.0.1:80"], "127.0.0.2:80", TcpConnect).await);
        assert!(admits(&["127.0.0.1:*"], "127.0.0.1:9", TcpConnect).await);
        assert!(admits(&["localhost:80"], "127.0.0.1:80", TcpConnect).await);
        assert!(!admits(&["localhost:80"], "10.0.0.1:80", TcpConnect).await);
        assert!(admits(&["localhost:80"], "0.0.0.0:0", TcpBind).await);
        assert!(!admits(&["localhost:80"], "0.0.0.0:80", TcpBind).await);
        assert!(!admits(&["*"], "127.0.0.1:80", TcpListen).await);
        assert!(!admits(&["*"], "127.0.0.1:80", UdpSend).await);
    }

    fn gate(granted: &str, running: bool) -> Gate {
        let grants = |scope: &str| vec![Grant::new(Capability::Http, scope)];
        let granter = Granter::new(PluginName::new("p").unwrap(), grants("*"), grants(granted), None);
        Gate { granter: Arc::new(granter), running: Arc::new(AtomicBool::new(running)), here: true }
    }

    fn request(uri: &str) -> Request<WasiBody> {
        use http_body_util::BodyExt;
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        Request::builder().uri(uri).header("host", "x").body(body).unwrap()
    }

    #[test]
    fn requests_go_to_granted_hosts_and_ports_only() {
        for (granted, uri, expected) in [
            ("a.b:443", "https://a.b/x", true),
            ("a.b:443", "https://A.B/x", true),
            ("a.b:443", "http://a.b/x", false),
            ("a.b:443", "https://c.a.b/x", false),
            ("a.b:443", "https://a.b:8443/x", false),
            ("a.b:443", "https://a.b@c.d/x", false),
            ("a.b:80", "http://a.b/x", true),
            ("a.b:*", "http://a.b:9999/x", true),
            ("a.b:*", "/x", false),
        ] {
            assert_eq!(gate(granted, true).admits(&request(uri)).is_ok(), expected, "{granted} {uri}");
        }
        let why = gate("a.b:443", false).admits(&request("https://a.b/x")).unwrap_err();
        assert!(why.contains("before the first hook"), "{why}");
    }

    #[tokio::test]
    async fn a_granted_request_is_sent_and_another_is_not() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4096];
            let length = peer.read(&mut seen).await.unwrap();
            peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&seen[..length]).into_owned()
        };
        let uri = format!("http://{address}/x");
        let send = |granted: &str| {
            Box::into_pin(gate(granted, true).send_request(request(&uri), None, Box::new(async { Ok(()) })))
        };
        assert!(matches!(send("127.0.0.1:1").await, Err(Error::HttpRequestDenied)));
        let (seen, sent) = tokio::join!(serve, send(&address.to_string()));
        assert!(seen.starts_with("GET /x HTTP/1.1"), "{seen}");
        assert_eq!(sent.ok().unwrap().0.status(), 204);
    }
}
