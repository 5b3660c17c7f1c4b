//! The packet as it looks at one point of its road.

use wire::{FlowKey, Packet, Rewrite};

/// The packet as it looks at one point of its road, and the edits that made it look so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hop {
    /// The packet.
    pub(crate) key: FlowKey,
    /// The packet that it quotes, if it is an ICMP error.
    pub(crate) quoted: Option<FlowKey>,
    /// Edits so far.
    pub(crate) rewrite: Rewrite,
    /// Edits of the quoted packet so far.
    pub(crate) rewrite_quoted: Rewrite,
}

impl Hop {
    /// The packet as it came.
    pub(super) fn first(packet: &Packet) -> Hop {
        Hop {
            key: packet.flow_key(),
            quoted: packet.quoted().map(|quoted| quoted.flow_key()),
            rewrite: Rewrite::default(),
            rewrite_quoted: Rewrite::default(),
        }
    }

    /// The packet after one more edit, which changes no ports.
    pub(crate) fn edited(mut self, edit: Rewrite) -> Hop {
        self.key.src = edit.src.unwrap_or(self.key.src);
        self.key.dst = edit.dst.unwrap_or(self.key.dst);
        self.rewrite = self.rewrite.then(edit);
        self
    }

    /// The packet after an edit, which changes no ports, of what it quotes, if it quotes anything.
    pub(crate) fn edited_quoted(mut self, edit: Rewrite) -> Hop {
        if let Some(quoted) = &mut self.quoted {
            quoted.src = edit.src.unwrap_or(quoted.src);
            quoted.dst = edit.dst.unwrap_or(quoted.dst);
            self.rewrite_quoted = self.rewrite_quoted.then(edit);
        }
        self
    }

    /// The packet after an edit that makes it `key`.
    pub(crate) fn translated(mut self, key: FlowKey, edit: Rewrite) -> Hop {
        self.key = key;
        self.rewrite = self.rewrite.then(edit);
        self
    }

    /// The packet after an edit that makes what it quotes `key`.
    pub(crate) fn translated_quote(mut self, key: FlowKey, edit: Rewrite) -> Hop {
        self.quoted = Some(key);
        self.rewrite_quoted = self.rewrite_quoted.then(edit);
        self
    }
}
