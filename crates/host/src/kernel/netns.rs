//! A namespace together with a netlink socket that was opened in it.

use rtnetlink::Handle;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::KernelError;
use crate::namespace::Namespace;

/// A namespace and its netlink socket. Both keep the namespace alive, so close it as soon as its pin is gone.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) namespace: Namespace,
    pub(super) handle: Handle,
    connection: JoinHandle<()>,
}

impl Entered {
    /// Opens a netlink socket in the namespace; `runtime` drives it.
    pub(super) fn open(runtime: &Runtime, namespace: Namespace) -> Result<Self, KernelError> {
        // A socket belongs to the namespace of the thread that opened it, whoever uses it later.
        let opened = namespace.run(|| {
            let _guard = runtime.enter();
            rtnetlink::new_connection()
        })?;
        let (connection, handle, _) = opened.map_err(KernelError::Socket)?;
        let connection = runtime.spawn(connection);
        Ok(Self { namespace, handle, connection })
    }

    /// Closes the socket now, not when the runtime runs next.
    pub(super) fn close(self, runtime: &Runtime) {
        let Self { namespace, handle, connection } = self;
        drop((namespace, handle));
        connection.abort();
        // Its only outcome is that it was cancelled.
        let _ = runtime.block_on(connection);
    }
}
