//! Questions as they come, and answers as they go (RFC 1035 section 4, RFC 6891).

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};

/// The largest answer over UDP that we send, and the smallest that everybody takes.
const PAYLOAD: u16 = 4096;
const PLAIN_PAYLOAD: u16 = 512;
/// Of a header (RFC 1035 section 4.1.1).
pub(super) const HEADER: usize = 12;
/// The bits of the header's third byte that say: an answer, by an authority, cut short.
pub(super) const QR: u8 = 0x80;
const AA: u8 = 0x04;
const TC: u8 = 0x02;
/// Those of its fourth: recursion is available, data are authentic.
const RA: u8 = 0x80;
const AD: u8 = 0x20;

/// What a question came over, and its answer will go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// A question and what its asker says beside.
#[derive(Debug)]
pub(super) struct Request {
    message: Message,
    pub(super) question: Query,
    over: Transport,
}

/// What became of bytes that should be a question.
#[derive(Debug)]
pub(super) enum Read {
    /// A question.
    Question(Box<Request>),
    /// Not one that we answer, and what to say instead.
    Refused(Vec<u8>),
    /// Nothing to say anything to.
    Nothing,
}

/// What we know ourselves.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    /// It does not fit what it came over.
    pub(super) truncated: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
}

impl Default for Answer {
    fn default() -> Answer {
        Answer {
            code: ResponseCode::NoError,
            authoritative: false,
            truncated: false,
            answers: Vec::new(),
            authorities: Vec::new(),
        }
    }
}

impl Answer {
    pub(super) fn failure(code: ResponseCode) -> Answer {
        Answer { code, ..Answer::default() }
    }
}

impl Read {
    /// Reads what came.
    pub(super) fn from(bytes: &[u8], over: Transport) -> Read {
        let Some(&[a, b, flags, ..]) = bytes.get(..HEADER) else { return Read::Nothing };
        // An answer to an answer would never end.
        if flags & QR != 0 {
            return Read::Nothing;
        }
        let Ok(message) = Message::from_vec(bytes) else {
            let op_code = OpCode::from_u8(flags >> 3 & 0x0f);
            let id = u16::from_be_bytes([a, b]);
            let refusal = Message::error_msg(id, op_code, ResponseCode::FormErr).to_vec();
            return refusal.map_or(Read::Nothing, Read::Refused);
        };
        let question = match &message.queries[..] {
            [question] => question.clone(),
            _ => Query::default(),
        };
        let request = Request { question, over, message };
        match request.objection() {
            None => Read::Question(Box::new(request)),
            Some(code) => request.reply(&Answer::failure(code)).map_or(Read::Nothing, Read::Refused),
        }
    }
}

impl Request {
    fn objection(&self) -> Option<ResponseCode> {
        if self.message.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Some(ResponseCode::BADVERS);
        }
        if self.message.op_code != OpCode::Query {
            return Some(ResponseCode::NotImp);
        }
        if self.message.queries.len() != 1 {
            return Some(ResponseCode::FormErr);
        }
        let transfer = matches!(self.question.query_type(), RecordType::AXFR | RecordType::IXFR);
        (transfer || self.question.query_class() != DNSClass::IN).then_some(ResponseCode::Refused)
    }

    pub(super) fn over(&self) -> Transport {
        self.over
    }

    /// Whether the asker wants others to be asked.
    pub(super) fn recursion_desired(&self) -> bool {
        self.message.recursion_desired
    }

    /// Whether the asker validates by itself, and wants to hear what was signed (RFC 6147 section 5.5).
    pub(super) fn validates(&self) -> bool {
        self.message.checking_disabled
            && self.message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
    }

    /// Another question of the same asker, for somebody else to answer.
    pub(super) fn forwarded(&self, question: &Query) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.metadata.checking_disabled = self.message.checking_disabled;
        message.add_query(question.clone());
        message.edns = self.edns();
        message
    }

    /// An answer of our own. None if it cannot be put.
    pub(super) fn reply(&self, answer: &Answer) -> Option<Vec<u8>> {
        let mut message = Message::response(self.message.id, self.message.op_code);
        message.metadata.authoritative = answer.authoritative;
        message.metadata.truncation = answer.truncated;
        message.metadata.recursion_desired = self.message.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.checking_disabled = self.message.checking_disabled;
        message.metadata.response_code = answer.code;
        message.queries.clone_from(&self.message.queries);
        message.answers.clone_from(&answer.answers);
        message.authorities.clone_from(&answer.authorities);
        message.edns = self.edns();
        let bytes = message.to_vec().ok()?;
        if bytes.len() <= self.limit() {
            return Some(bytes);
        }
        message.metadata.truncation = true;
        message.answers.clear();
        message.authorities.clear();
        message.to_vec().ok()
    }

    /// Somebody else's answer, as they put it, to the question as the asker put it.
    pub(super) fn relay(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        if bytes.len() > self.limit() {
            return self.reply(&Answer { truncated: true, ..Answer::default() });
        }
        let [a, b] = self.message.id.to_be_bytes();
        let [id, id_low, flags, more, ..] = bytes.get_mut(..HEADER)? else { return None };
        (*id, *id_low) = (a, b);
        // We are no authority for it, and have validated nothing.
        *flags &= !AA;
        *more = *more & !AD | RA;
        Some(bytes)
    }

    /// Our half of EDNS, for those who speak it.
    fn edns(&self) -> Option<Edns> {
        let asked = self.message.edns.as_ref()?;
        let mut edns = Edns::new();
        edns.set_max_payload(asked.max_payload().clamp(PLAIN_PAYLOAD, PAYLOAD));
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        Some(edns)
    }

    fn limit(&self) -> usize {
        let edns = self.message.edns.as_ref();
        usize::from(match self.over {
            Transport::Tcp => u16::MAX,
            Transport::Udp => {
                edns.map_or(PLAIN_PAYLOAD, |edns| edns.max_payload().clamp(PLAIN_PAYLOAD, PAYLOAD))
            }
        })
    }
}

/// Whether an answer was cut short.
pub(super) fn is_truncated(bytes: &[u8]) -> bool {
    bytes.get(2).is_some_and(|flags| flags & TC != 0)
}
