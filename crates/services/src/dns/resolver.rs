//! From a question to its answer, by whoever knows it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{RData, Record, RecordType};
use model::{Region, Subnet, Vpc};
use tracing::warn;

use super::message::{Answer, Read, Request, Transport, is_truncated};
use super::names::{Names, TTL};
use super::{dns64, upstream};
use crate::{Caller, Directory};

/// Answers questions.
pub(super) struct Resolver {
    directory: Arc<dyn Directory>,
    /// Who is asked what we do not know.
    upstream: Option<SocketAddr>,
    /// Whether it has been told that there is nobody to ask.
    told: Cell<bool>,
}

/// Who asks, and where they are.
struct Asker<'a> {
    region: &'a Region,
    vpc: &'a Vpc,
    subnet: &'a Subnet,
}

/// An answer, and whose.
enum Reply {
    Own(Answer),
    /// As somebody else put it.
    Relayed(Vec<u8>),
}

/// What to say to whom we have no time for, if anything.
pub(super) fn decline(bytes: &[u8]) -> Option<Vec<u8>> {
    match Read::from(bytes, Transport::Udp) {
        Read::Question(request) => request.reply(&Answer::failure(ResponseCode::ServFail)),
        Read::Refused(refusal) => Some(refusal),
        Read::Nothing => None,
    }
}

impl Resolver {
    pub(super) fn new(directory: Arc<dyn Directory>, upstream: Option<SocketAddr>) -> Resolver {
        Resolver { directory, upstream, told: Cell::new(false) }
    }

    /// What to say to bytes from a caller, if anything.
    pub(super) async fn answer(&self, caller: &Caller, bytes: &[u8], over: Transport) -> Option<Vec<u8>> {
        let request = match Read::from(bytes, over) {
            Read::Question(request) => request,
            Read::Refused(refusal) => return Some(refusal),
            Read::Nothing => return None,
        };
        let asker = Asker::of(caller)?;
        let reply = match request.question.query_type() {
            RecordType::AAAA if asker.subnet.enable_dns64 && !request.validates() => {
                self.with_addresses_made(&asker, &request).await
            }
            RecordType::PTR if asker.subnet.enable_dns64 => self.owner(&asker, &request).await,
            _ => self.resolve(&asker, &request, &request.question).await,
        };
        match reply {
            Reply::Own(answer) => request.reply(&answer),
            Reply::Relayed(bytes) => request.relay(bytes),
        }
    }

    async fn resolve(&self, asker: &Asker<'_>, request: &Request, question: &Query) -> Reply {
        let regions = self.directory.regions();
        let names = Names { region: asker.region, vpc: asker.vpc, regions: &regions };
        if let Some(answer) = names.answer(question) {
            return Reply::Own(answer);
        }
        if !request.recursion_desired() {
            return Reply::Own(Answer::failure(ResponseCode::Refused));
        }
        let Some(server) = self.upstream else {
            if !self.told.replace(true) {
                let name = question.name();
                warn!(%name, "somebody asks for a name outside of the cloud, and there is no resolver to ask: SERVFAIL");
            }
            return Reply::Own(Answer::failure(ResponseCode::ServFail));
        };
        let answer = upstream::ask(server, request, question).await;
        answer.map_or_else(|| Reply::Own(Answer::failure(ResponseCode::ServFail)), Reply::Relayed)
    }

    /// IPv6 addresses, made from IPv4 ones where there are none (RFC 6147 section 5.1).
    async fn with_addresses_made(&self, asker: &Asker<'_>, request: &Request) -> Reply {
        let first = self.resolve(asker, request, &request.question).await;
        let Some(found) = first.read() else { return first };
        if found.truncated || found.code == ResponseCode::NXDomain {
            return first;
        }
        if let Some(answers) = dns64::usable(&found.answers) {
            // As it was put, unless something had to be left out.
            return if answers.len() == found.answers.len() {
                first
            } else {
                Reply::Own(Answer { answers, ..Answer::default() })
            };
        }
        let question = Query::query(request.question.name().clone(), RecordType::A);
        let second = self.resolve(asker, request, &question).await;
        match second.read() {
            Some(Answer { truncated: true, .. }) => {
                Reply::Own(Answer { truncated: true, ..Answer::default() })
            }
            Some(Answer { code: ResponseCode::NoError, answers, .. }) => {
                match dns64::synthesized(&answers, &found.authorities) {
                    Some(answers) => Reply::Own(Answer { answers, ..Answer::default() }),
                    None => first,
                }
            }
            _ => first,
        }
    }

    /// Who has an address. One that was made has its owner's name where the IPv4 address has it.
    async fn owner(&self, asker: &Asker<'_>, request: &Request) -> Reply {
        let Some(target) = dns64::reverse(request.question.name()) else {
            return self.resolve(asker, request, &request.question).await;
        };
        let question = Query::query(target.clone(), RecordType::PTR);
        let Some(found) = self.resolve(asker, request, &question).await.read() else {
            return Reply::Own(Answer::failure(ResponseCode::ServFail));
        };
        let mut answer = Answer { authoritative: false, ..found };
        if !answer.answers.is_empty() {
            let alias = RData::CNAME(CNAME(target));
            answer.answers.insert(0, Record::from_rdata(request.question.name().clone(), TTL, alias));
        }
        Reply::Own(answer)
    }
}

impl<'a> Asker<'a> {
    fn of(caller: &'a Caller) -> Option<Asker<'a>> {
        let region = &*caller.region;
        let interface = region.interfaces().get(&caller.interface)?;
        let (vpc, subnet) = (region.vpcs().get(&interface.vpc)?, region.subnets().get(&interface.subnet)?);
        Some(Asker { region, vpc, subnet })
    }
}

impl Reply {
    /// What it says; none if it is somebody else's and cannot be read.
    fn read(&self) -> Option<Answer> {
        match self {
            Reply::Own(answer) => Some(answer.clone()),
            Reply::Relayed(bytes) => {
                let truncated = is_truncated(bytes);
                let message = Message::from_vec(bytes).ok()?;
                let code = message.response_code;
                let (answers, authorities) = (message.answers, message.authorities);
                Some(Answer { code, authoritative: false, truncated, answers, authorities })
            }
        }
    }
}
