//! DHCPv6 messages and their options (RFC 8415 sections 8 and 21), as far as a server without state reads them.

/// A message between a client and a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) transaction: [u8; 3],
    pub(super) options: Options,
}

/// Options in order: code and data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options(Vec<(u16, Vec<u8>)>);

impl Message {
    /// None if an option is cut short.
    pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
        let (&[kind, a, b, c], options) = bytes.split_first_chunk()?;
        Some(Message { kind, transaction: [a, b, c], options: Options::parse(options)? })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let [a, b, c] = self.transaction;
        let mut bytes = vec![self.kind, a, b, c];
        bytes.extend(self.options.to_bytes());
        bytes
    }
}

impl Options {
    /// None if an option is cut short.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Options> {
        let mut options = Vec::new();
        while !bytes.is_empty() {
            let (&[a, b, c, d], rest) = bytes.split_first_chunk()?;
            let (data, rest) = rest.split_at_checked(u16::from_be_bytes([c, d]).into())?;
            options.push((u16::from_be_bytes([a, b]), data.to_vec()));
            bytes = rest;
        }
        Some(Options(options))
    }

    /// The data of the first option with this code.
    pub(super) fn get(&self, code: u16) -> Option<&[u8]> {
        self.all(code).next()
    }

    /// The data of each option with this code.
    pub(super) fn all(&self, code: u16) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(own, _)| *own == code).map(|(_, data)| &data[..])
    }

    pub(super) fn push(&mut self, code: u16, data: Vec<u8>) {
        self.0.push((code, data));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Data of more than 65,535 bytes, which nobody here writes, is left out.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, data) in &self.0 {
            let Ok(len) = u16::try_from(data.len()) else { continue };
            bytes.extend(code.to_be_bytes());
            bytes.extend(len.to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_short_is_no_message() {
        let whole = Message {
            kind: 1,
            transaction: [1, 2, 3],
            options: Options(vec![(1, vec![0, 3]), (14, Vec::new()), (3, vec![7; 12])]),
        };
        let bytes = whole.to_bytes();
        assert_eq!(Message::parse(&bytes), Some(whole));
        let parsed = (0..bytes.len()).filter(|&len| Message::parse(&bytes[..len]).is_some());
        assert_eq!(parsed.collect::<Vec<_>>(), [4, 10, 14], "only between options");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(message) = Message::parse(&bytes) {
                prop_assert_eq!(message.to_bytes(), bytes);
            }
        }
    }
}
