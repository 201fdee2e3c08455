//! Tells systemd how the service is doing: sd_notify(3), a datagram to the socket that `NOTIFY_SOCKET` names. Without that
//! variable nothing is done, and no failure is a reason to stop.

use super::status::State;

/// The node's state has changed.
pub(super) fn state(state: State) {
    match state {
        State::Starting => {}
        State::Serving => send("READY=1\nSTATUS=serving"),
        State::Draining => send("STOPPING=1\nSTATUS=draining"),
    }
}

/// The node is alive. This comes from the task that forwards, and not from one that would still run if that hung.
pub(super) fn watchdog() {
    send("WATCHDOG=1");
}

#[cfg(target_os = "linux")]
fn send(message: &str) {
    use std::sync::OnceLock;
    static SOCKET: OnceLock<Option<socket::Notifier>> = OnceLock::new();
    let notifier = SOCKET.get_or_init(|| socket::Notifier::open(&std::env::var_os("NOTIFY_SOCKET")?));
    if let Some(notifier) = notifier {
        notifier.send(message);
    }
}

#[cfg(not(target_os = "linux"))]
fn send(_message: &str) {}

#[cfg(target_os = "linux")]
mod socket {
    use std::ffi::OsStr;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// A connected socket.
    #[derive(Debug)]
    pub(super) struct Notifier(UnixDatagram);

    impl Notifier {
        /// `None` for a name that is no socket of this machine.
        pub(super) fn open(name: &OsStr) -> Option<Self> {
            let address = match name.as_bytes() {
                // An abstract socket, with @ for the zero byte.
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok()?,
                [b'/', ..] => SocketAddr::from_pathname(name).ok()?,
                _ => return None,
            };
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.connect_addr(&address).ok()?;
            Some(Self(socket))
        }

        pub(super) fn send(&self, message: &str) {
            // A manager that does not read loses a message, and the node nothing.
            let _ = self.0.send(message.as_bytes());
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn both_kinds_of_sockets_are_spoken_to_and_other_names_are_not() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("notify");
            let name = format!("holomesh-notify-test-{}", std::process::id());
            let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
            for (manager, name) in [
                (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
                (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}").into()),
            ] {
                Notifier::open(&name).unwrap().send("READY=1");
                let mut buffer = [0; 64];
                let got = manager.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..got], b"READY=1");
            }
            for name in ["", "relative", "/nonexistent/socket", "@"] {
                assert!(Notifier::open(OsStr::new(name)).is_none(), "{name}");
            }
        }

        #[test]
        fn a_manager_that_does_not_read_blocks_nobody() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("notify");
            let _manager = UnixDatagram::bind(&path).unwrap();
            let notifier = Notifier::open(path.as_os_str()).unwrap();
            (0..10_000).for_each(|_| notifier.send("WATCHDOG=1"));
        }
    }
}
