//! Some VPCs and the resolver for those who are in them, and a small DNS server for the rest of the world.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use model::{
    AccountId, Applied, Change, Launch, NewInterface, Region, RegionKey, RegionName, SubnetId,
    SubnetIpv6Attribute, Tags, VpcAttribute, VpcId,
};
use rustix::net::{AddressFamily, SocketType};
use services::dns::{Upstream, serve};
use services::{Caller, Directory, Server};

/// 10.0.1.20 in a VPC with names, beside 10.0.1.10, which has a public address.
pub(crate) const NAMES: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// 10.0.1.10 in a VPC of the same CIDR block and region, but another account, beside 10.0.1.30.
pub(crate) const SAME_CIDR: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 2);
/// 10.2.1.10 in a VPC without names; it has a public address.
pub(crate) const NAMELESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 3);
/// 100.64.1.5 in a VPC with names.
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 4);
/// In the VPC of the first, in a subnet with DNS64.
pub(crate) const DNS64: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 5);

/// The resolver, and those who ask it.
pub(crate) struct Vpcs {
    address: SocketAddr,
    _server: Server,
}

static SHARED: LazyLock<Vpcs> = LazyLock::new(|| Vpcs::serve(None));

struct People(BTreeMap<Ipv4Addr, Caller>);

impl Directory for People {
    fn caller(&self, peer: Ipv4Addr) -> Option<Caller> {
        self.0.get(&peer).cloned()
    }

    fn regions(&self) -> Vec<Arc<Region>> {
        [NAMES, SAME_CIDR].map(|who| Arc::clone(&self.0[&who].region)).to_vec()
    }
}

impl Vpcs {
    pub(crate) fn serve(upstream: Option<&Elsewhere>) -> Vpcs {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        let upstream =
            upstream.map(|elsewhere| Upstream { server: elsewhere.address, enter: Box::new(|| Ok(())) });
        let server = serve(udp, tcp, Arc::new(people()), upstream).unwrap();
        Vpcs { address, _server: server }
    }

    /// One for all cases of a property.
    pub(crate) fn shared() -> &'static Vpcs {
        &SHARED
    }

    /// A socket that speaks with the resolver.
    pub(crate) fn socket(&self, who: Ipv4Addr) -> UdpSocket {
        let socket = UdpSocket::bind((who, 0)).unwrap();
        socket.connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        socket
    }

    pub(crate) fn ask(&self, who: Ipv4Addr, question: &Message) -> Message {
        let answer = self.exchange(who, &question.to_vec().unwrap()).expect("an answer");
        Message::from_vec(&answer).unwrap()
    }

    /// What is answered to bytes, if anything. That nothing is shows by the next question's being answered.
    pub(crate) fn exchange(&self, who: Ipv4Addr, bytes: &[u8]) -> Option<Vec<u8>> {
        let socket = self.socket(who);
        socket.send(bytes).unwrap();
        let answered = bytes.get(2).is_some_and(|flags| flags & 0x80 == 0) && who.octets()[3] < 90;
        if !answered {
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        }
        let mut buffer = vec![0; 65_535];
        let length = socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }

    pub(crate) fn connect(&self, who: Ipv4Addr) -> TcpStream {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(who, 0)).unwrap();
        rustix::net::connect(&socket, &self.address).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        stream
    }
}

/// One port for both.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP");
}

fn people() -> People {
    let mut callers = BTreeMap::new();
    let mut region = new_region("000000000000");
    let (vpc, subnet) = vpc(&mut region, "10.0.0.0/16", "10.0.1.0/24", true);
    let web = run(&mut region, subnet, "10.0.1.10");
    elastic_ip(&mut region, web, "203.0.113.10");
    let names = run(&mut region, subnet, "10.0.1.20");
    let (_, other) = self::vpc(&mut region, "10.2.0.0/16", "10.2.1.0/24", false);
    let nameless = run(&mut region, other, "10.2.1.10");
    elastic_ip(&mut region, nameless, "203.0.113.20");
    let (_, far) = self::vpc(&mut region, "100.64.0.0/16", "100.64.1.0/24", true);
    let peer = run(&mut region, far, "100.64.1.5");
    let cidr = "2001:db8::/56".parse().unwrap();
    region.apply(Change::AssociateVpcIpv6CidrBlock { vpc, cidr }).unwrap();
    let cidr = "10.0.2.0/24".parse().unwrap();
    let create = Change::CreateSubnet { vpc, cidr, availability_zone: None, tags: Tags::new() };
    let Ok(Applied::Subnet(subnet)) = region.apply(create) else { panic!("no subnet") };
    let cidr = "2001:db8:0:1::/64".parse().unwrap();
    region.apply(Change::AssociateSubnetCidrBlock { subnet, cidr }).unwrap();
    let attribute = SubnetIpv6Attribute::EnableDns64(true);
    region.apply(Change::ModifySubnetIpv6Attribute { subnet, attribute }).unwrap();
    let dns64 = run(&mut region, subnet, "10.0.2.10");
    let region = Arc::new(region);
    for (peer, interface) in [(NAMES, names), (NAMELESS, nameless), (PEER, peer), (DNS64, dns64)] {
        callers.insert(peer, Caller { region: Arc::clone(&region), interface });
    }

    let mut region = new_region("111111111111");
    let (_, subnet) = self::vpc(&mut region, "10.0.0.0/16", "10.0.1.0/24", true);
    let interface = run(&mut region, subnet, "10.0.1.10");
    run(&mut region, subnet, "10.0.1.30");
    callers.insert(SAME_CIDR, Caller { region: Arc::new(region), interface });
    People(callers)
}

fn new_region(account: &str) -> Region {
    let (account, region) = (AccountId(account.to_owned()), RegionName("eu-west-1".to_owned()));
    Region::new(RegionKey { account, region }, 1)
}

fn vpc(region: &mut Region, cidr: &str, subnet: &str, names: bool) -> (VpcId, SubnetId) {
    let create = Change::CreateVpc { cidr: cidr.parse().unwrap(), tags: Tags::new() };
    let Ok(Applied::Vpc(vpc)) = region.apply(create) else { panic!("no VPC") };
    let attribute = VpcAttribute::EnableDnsHostnames(names);
    region.apply(Change::ModifyVpcAttribute { vpc, attribute }).unwrap();
    let igw = Change::CreateInternetGateway { tags: Tags::new() };
    let Ok(Applied::InternetGateway(igw)) = region.apply(igw) else { panic!("no gateway") };
    region.apply(Change::AttachInternetGateway { igw, vpc }).unwrap();
    let cidr = subnet.parse().unwrap();
    let create = Change::CreateSubnet { vpc, cidr, availability_zone: None, tags: Tags::new() };
    let Ok(Applied::Subnet(subnet)) = region.apply(create) else { panic!("no subnet") };
    (vpc, subnet)
}

fn run(region: &mut Region, subnet: SubnetId, address: &str) -> model::InterfaceId {
    let interface = NewInterface { private_ip: Some(address.parse().unwrap()), ..NewInterface::new(subnet) };
    let launch = Launch::new("ami-0123456789abcdef0".parse().unwrap(), "t3.micro".to_owned(), interface);
    match region.apply(Change::RunInstances(launch)) {
        Ok(Applied::Instances { instances, .. }) => region.instances()[&instances[0]].interfaces[0],
        other => panic!("{other:?}"),
    }
}

fn elastic_ip(region: &mut Region, interface: model::InterfaceId, public_ip: &str) {
    let allocate = Change::AllocateAddress { public_ip: public_ip.parse().unwrap(), tags: Tags::new() };
    let Ok(Applied::Address(allocation)) = region.apply(allocate) else { panic!("no address") };
    region.apply(Change::AssociateAddress { allocation, interface, private_ip: None }).unwrap();
}

/// A DNS server for `example.`: what a name is says what it does. Its threads end with the process.
pub(crate) struct Elsewhere {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Elsewhere {
    pub(crate) fn serve() -> Elsewhere {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                noted.lock().unwrap().push(question.clone());
                let limit = usize::from(question.max_payload());
                for mut answer in answers(&question) {
                    let mut bytes = answer.to_vec().unwrap();
                    if bytes.len() > limit {
                        answer.metadata.truncation = true;
                        answer.answers.clear();
                        bytes = answer.to_vec().unwrap();
                    }
                    udp.send_to(&bytes, peer).unwrap();
                }
            }
        });
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut question).unwrap();
                for answer in answers(&Message::from_vec(&question).unwrap()) {
                    let bytes = answer.to_vec().unwrap();
                    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &bytes].concat()).unwrap();
                }
            }
        });
        Elsewhere { address, seen }
    }

    /// The questions that came over UDP.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }
}

fn answers(question: &Message) -> Vec<Message> {
    let asked = &question.queries[0];
    let name = asked.name().to_lowercase().to_string();
    let mut answer = Message::response(question.id, question.op_code);
    answer.metadata.authoritative = true;
    answer.metadata.authentic_data = true;
    answer.queries.clone_from(&question.queries);
    let www = A(Ipv4Addr::new(198, 51, 100, 80));
    let six = AAAA("2001:db8::80".parse().unwrap());
    let mapped = AAAA(Ipv4Addr::new(198, 51, 100, 80).to_ipv6_mapped());
    let mut records = Vec::new();
    let mut add = |owner: &Name, data| records.push(Record::from_rdata(owner.clone(), 300, data));
    match (name.as_str(), asked.query_type()) {
        ("silence.example.", _) => return Vec::new(),
        ("forged.example.", _) => {
            let other = Message::response(!question.id, question.op_code);
            let mut renamed = Message::response(question.id, question.op_code);
            renamed.queries.clone_from(&question.queries);
            renamed.queries[0].name = Name::from_ascii("other-.example.").unwrap();
            return vec![other, renamed];
        }
        ("loud.example.", _) => {
            add(asked.name(), RData::A(www));
            answer.queries[0].name = Name::from_ascii("LOUD.EXAMPLE.").unwrap();
        }
        ("many.example.", _) => {
            for n in 0..100 {
                add(asked.name(), RData::A(A(Ipv4Addr::new(198, 51, 100, n))));
            }
        }
        ("www.example." | "mapped.example.", RecordType::A) => {
            add(asked.name(), RData::A(www));
        }
        ("six.example." | "mixed.example.", RecordType::AAAA) => {
            add(asked.name(), RData::AAAA(six));
            if name.starts_with("mixed") {
                add(asked.name(), RData::AAAA(mapped));
            }
        }
        ("mapped.example.", RecordType::AAAA) => {
            add(asked.name(), RData::AAAA(mapped));
        }
        ("alias.example.", kind) => {
            let target = Name::from_ascii("www.example.").unwrap();
            add(asked.name(), RData::CNAME(CNAME(target.clone())));
            if kind == RecordType::A {
                add(&target, RData::A(www));
            }
        }
        ("www.example.", _) => {}
        _ => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.answers = records;
    vec![answer]
}
