//! What `/proc` tells about the container around a process. Pure: texts in, ids out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Number of hexadecimal digits of a container's id.
const DIGITS: usize = 64;

/// The files that engines mount into each container from the directory that is named after it.
const MOUNTED: [&str; 4] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv"];

/// Ids in the sources of those mounts of `/proc/self/mountinfo`, each once. With `network_mode: container:X` they are X's.
pub(super) fn mountinfo_ids(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(' ').skip(3);
        let (Some(root), Some(target)) = (fields.next(), fields.next()) else { continue };
        if !MOUNTED.contains(&target) {
            continue;
        }
        let mut parts = root.split('/').rev().skip(1);
        let (Some(directory), Some(above)) = (parts.next(), parts.next()) else { continue };
        // Docker: …/containers/<id>/hosts; Podman: …/overlay-containers/<id>/userdata/hosts.
        let id = match (directory, above) {
            ("userdata", id) if parts.next().is_some_and(|parent| parent.ends_with("-containers")) => id,
            (id, "containers") => id,
            _ => continue,
        };
        if is_id(id) {
            push_new(&mut ids, id);
        }
    }
    ids
}

/// Ids in the paths of `/proc/self/cgroup`, innermost first, each once: `/docker/<id>`, `docker-<id>.scope`, `libpod-<id>.scope/container`.
pub(super) fn cgroup_ids(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        path_ids(path, &mut ids);
    }
    ids
}

/// Ids in `/proc/1/cpuset`, which is one path.
pub(super) fn cpuset_ids(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    path_ids(text.trim(), &mut ids);
    ids
}

fn path_ids(path: &str, ids: &mut Vec<String>) {
    for part in path.rsplit('/') {
        let runs = part.split(|c: char| !c.is_ascii_hexdigit());
        for id in runs.filter(|run| is_id(run)) {
            push_new(ids, id);
        }
    }
}

/// A host name that an engine made from an id.
pub(super) fn hostname_id(hostname: &str) -> Option<String> {
    let fits = (12..=DIGITS).contains(&hostname.len()) && hostname.bytes().all(is_digit);
    fits.then(|| hostname.to_owned())
}

/// The cgroup (version 1) of a process, out of its `/proc/…/cgroup`: the one that limits memory, as the others lie in the same place.
/// None where there is only version 2, or where a namespace hides it.
pub(super) fn v1_cgroup(text: &str) -> Option<String> {
    let mut best = None;
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        // The line of version 2 names no controllers; named hierarchies (`name=systemd`) limit nothing.
        if controllers.is_empty() || controllers.starts_with("name=") || path == "/" || path.starts_with("/..") {
            continue;
        }
        if controllers.split(',').any(|controller| controller == "memory") {
            return Some(path.to_owned());
        }
        best.get_or_insert(path);
    }
    best.map(str::to_owned)
}

/// Addresses of this network namespace, out of `/proc/net/fib_trie` and `/proc/net/if_inet6`, loopback excepted.
pub(super) fn local_addresses(fib_trie: &str, if_inet6: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if let (true, Some(address)) = (line == "/32 host LOCAL", last) {
            push_new_address(&mut addresses, IpAddr::V4(address));
        }
    }
    for digits in if_inet6.lines().filter_map(|line| line.split_whitespace().next()) {
        if let Ok(bits) = u128::from_str_radix(digits, 16) {
            push_new_address(&mut addresses, IpAddr::V6(Ipv6Addr::from(bits)));
        }
    }
    addresses
}

fn push_new(ids: &mut Vec<String>, id: &str) {
    if !ids.iter().any(|known| known == id) {
        ids.push(id.to_owned());
    }
}

fn push_new_address(addresses: &mut Vec<IpAddr>, address: IpAddr) {
    if !address.is_loopback() && !addresses.contains(&address) {
        addresses.push(address);
    }
}

fn is_id(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(is_digit)
}

fn is_digit(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "de81c1c3e6495c642dd110274ee29223d5797727482b78bd45d20678f786753e";
    const B: &str = "5dd98d5f45e3abb1bcfeeea23351594c86f951009420490b2acd312ab530617a";

    /// From a container with `network_mode: container:B`, Docker 20.10, cgroup version 1, cgroupfs.
    const V1_CGROUP: &str = "\
9:name=systemd:/docker/de81c1c3e6495c642dd110274ee29223d5797727482b78bd45d20678f786753e
8:pids:/docker/de81c1c3e6495c642dd110274ee29223d5797727482b78bd45d20678f786753e
4:memory:/docker/de81c1c3e6495c642dd110274ee29223d5797727482b78bd45d20678f786753e
3:cpuset:/docker/de81c1c3e6495c642dd110274ee29223d5797727482b78bd45d20678f786753e
1:cpu:/docker/de81c1c3e6495c642dd110274ee29223d5797727482b78bd45d20678f786753e
0::/docker/de81c1c3e6495c642dd110274ee29223d5797727482b78bd45d20678f786753e
";
    /// The same container's mounts: all of them B's.
    const JOINED_MOUNTS: &str = "\
110 109 0:45 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
126 109 254:0 /var/lib/docker/containers/5dd98d5f45e3abb1bcfeeea23351594c86f951009420490b2acd312ab530617a/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw,discard
127 109 254:0 /var/lib/docker/containers/5dd98d5f45e3abb1bcfeeea23351594c86f951009420490b2acd312ab530617a/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw,discard
128 109 254:0 /var/lib/docker/containers/5dd98d5f45e3abb1bcfeeea23351594c86f951009420490b2acd312ab530617a/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw,discard
";
    const FIB_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
     +-- 172.17.0.0/16 2 0 2
           |-- 172.17.0.0
              /16 link UNICAST
           |-- 172.17.0.2
              /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
Local:
           |-- 172.17.0.2
              /32 host LOCAL
";

    #[test]
    fn version_1() {
        assert_eq!(cgroup_ids(V1_CGROUP), [A]);
        assert_eq!(v1_cgroup(V1_CGROUP), Some(format!("/docker/{A}")));
        assert_eq!(cpuset_ids(&format!("/docker/{A}\n")), [A]);
        // Controllers that share a hierarchy, as systemd mounts them; the innermost container comes first.
        let shared = format!("6:cpu,cpuacct:/docker/{B}/docker/{A}\n5:memory,pids:/docker/{B}/docker/{A}\n");
        assert_eq!(cgroup_ids(&shared), [A, B]);
        assert_eq!(v1_cgroup(&shared), Some(format!("/docker/{B}/docker/{A}")));
        // Without the memory controller another one has to do.
        assert_eq!(v1_cgroup("2:name=systemd:/x\n1:pids:/docker/y\n"), Some("/docker/y".into()));
    }

    #[test]
    fn version_1_on_a_host_or_in_a_cgroup_namespace() {
        for text in ["4:memory:/\n1:name=systemd:/\n0::/\n", "4:memory:/../other\n", ""] {
            assert_eq!((v1_cgroup(text), cgroup_ids(text).len()), (None, 0), "{text}");
        }
    }

    #[test]
    fn version_2() {
        // Private namespace, the default: nothing to see.
        assert!(cgroup_ids("0::/\n").is_empty());
        // Host namespace: cgroupfs, systemd, rootless systemd, Podman, Podman with split cgroups, CRI-O.
        for path in [
            format!("/docker/{A}"),
            format!("/system.slice/docker-{A}.scope"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope"),
            format!("/machine.slice/libpod-{A}.scope/container"),
            format!("/machine.slice/libpod-{A}.scope"),
            format!("/system.slice/unit.service/libpod-payload-{A}"),
            format!("/kubepods.slice/crio-{A}.scope"),
        ] {
            let text = format!("0::{path}\n");
            assert_eq!(cgroup_ids(&text), [A], "{path}");
            assert_eq!(v1_cgroup(&text), None, "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_an_id_is_none() {
        let longer = format!("0::/docker/{A}0\n");
        let shorter = format!("0::/docker/{}\n", &A[1..]);
        let upper = format!("0::/docker/{}\n", A.to_uppercase());
        for text in [longer, shorter, upper] {
            assert!(cgroup_ids(&text).is_empty(), "{text}");
        }
    }

    #[test]
    fn mounts_of_a_joined_network_are_the_other_containers() {
        assert_eq!(mountinfo_ids(JOINED_MOUNTS), [B]);
    }

    #[test]
    fn mounts_of_other_engines() {
        let userns = format!(
            "700 690 8:1 /var/lib/docker/165536.165536/containers/{A}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw"
        );
        // The data root is a file system of its own.
        let partition = format!("700 690 8:2 /containers/{A}/hosts /etc/hosts rw,relatime - ext4 /dev/sdb1 rw");
        let podman = format!(
            "800 790 0:25 /containers/storage/overlay-containers/{A}/userdata/hosts /etc/hosts rw,nosuid - tmpfs tmpfs rw\n\
             801 790 0:25 /containers/storage/overlay-containers/{A}/userdata/.containerenv /run/.containerenv rw - tmpfs tmpfs rw"
        );
        for text in [userns, partition, podman] {
            assert_eq!(mountinfo_ids(&text), [A], "{text}");
        }
    }

    #[test]
    fn mounts_of_a_host_are_nobodys() {
        let host = format!(
            "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
             90 27 0:44 / /var/lib/docker/containers/{A}/mounts/shm rw - tmpfs shm rw\n\
             91 27 8:1 /srv/containers/{A}/hosts /srv/hosts rw - ext4 /dev/sda1 rw\n\
             92 27 8:1 /srv/hosts /etc/hosts rw - ext4 /dev/sda1 rw\nbroken line"
        );
        assert!(mountinfo_ids(&host).is_empty());
    }

    #[test]
    fn host_names_that_are_ids() {
        assert_eq!(hostname_id(&A[..12]), Some(A[..12].to_owned()));
        assert_eq!(hostname_id(A), Some(A.to_owned()));
        for other in ["web-1", "deadbeef", &format!("{A}0"), "DE81C1C3E649"] {
            assert_eq!(hostname_id(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_of_the_namespace() {
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fd000000000000000000000000000002 05 40 00 80     eth0\n";
        let expected: [IpAddr; 2] = ["172.17.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        assert_eq!(local_addresses(FIB_TRIE, inet6), expected);
        assert!(local_addresses("", "").is_empty());
    }
}
