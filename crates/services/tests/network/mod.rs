//! A network of instances, and the service answering them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use model::{
    AccountId, Applied, Change, InterfaceId, Launch, MetadataOptions, NewInterface, Region, RegionKey,
    RegionName, SecurityGroupId, SubnetId, Tags, VpcId,
};
use services::metadata::serve;
use services::{Caller, Directory, Server};

use crate::client::Client;

/// The source address of the NAT instance: an Elastic IP, two groups, user data.
pub(crate) const NAT: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// The source address of a test machine: nothing but an address.
pub(crate) const TESTER: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 2);
/// The source address of an instance that requires tokens, which may travel three hops.
pub(crate) const STRICT: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 3);
/// The source address of the NAT instance's double, with the same ids in another account.
pub(crate) const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 4);

/// The account of all but [`ELSEWHERE`].
pub(crate) const ACCOUNT: &str = "000000000000";
/// The image of all instances.
pub(crate) const IMAGE: &str = "ami-0123456789abcdef0";
/// The NAT instance's user data: not text.
pub(crate) const USER_DATA: &[u8] = b"#!/bin/sh\n\0\xff\n";

/// The public key of the NAT instance, by the name of "me".
pub(crate) const PUBLIC_KEY: &str = "ssh-ed25519 AAAA me";

/// The service, and whom it knows.
pub(crate) struct Network {
    address: SocketAddr,
    server: Option<Server>,
    people: Arc<People>,
}

/// What the tests compare with, as text.
pub(crate) struct Facts {
    pub(crate) instance: String,
    pub(crate) interface: String,
    pub(crate) mac: String,
    pub(crate) groups: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    pub(crate) reservation: String,
}

#[derive(Default)]
struct People(Mutex<BTreeMap<Ipv4Addr, Caller>>);

impl Directory for People {
    fn caller(&self, peer: Ipv4Addr) -> Option<Caller> {
        self.0.lock().unwrap().get(&peer).cloned()
    }

    fn regions(&self) -> Vec<Arc<Region>> {
        self.0.lock().unwrap().values().map(|caller| Arc::clone(&caller.region)).collect()
    }
}

impl Network {
    /// Makes two regions with the same ids, and serves their instances.
    pub(crate) fn serve() -> Network {
        let people = Arc::new(People::default());
        populate(&people, ACCOUNT, &[NAT, TESTER, STRICT]);
        populate(&people, "111111111111", &[ELSEWHERE]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, people.clone()).unwrap();
        Network { address, server: Some(server), people }
    }

    /// A connection of an instance.
    pub(crate) fn client(&self, who: Ipv4Addr) -> Client {
        Client::connect(who, self.address)
    }

    /// Where the service is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the service.
    pub(crate) fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    /// Takes an instance's address away from it.
    pub(crate) fn forget(&self, who: Ipv4Addr) {
        self.people.0.lock().unwrap().remove(&who);
    }

    /// Gives an instance an Elastic IP.
    pub(crate) fn associate_address(&self, who: Ipv4Addr, public_ip: Ipv4Addr) {
        let mut people = self.people.0.lock().unwrap();
        let caller = people.get_mut(&who).unwrap();
        associate(Arc::make_mut(&mut caller.region), caller.interface, public_ip);
    }

    /// What is true of an instance.
    pub(crate) fn facts(&self, who: Ipv4Addr) -> Facts {
        let Caller { region, interface } = self.people.caller(who).unwrap();
        let interface = &region.interfaces()[&interface];
        let instance = &region.instances()[&interface.attachment.as_ref().unwrap().instance];
        let groups: Vec<String> = interface.groups.iter().map(ToString::to_string).collect();
        Facts {
            instance: instance.id.to_string(),
            interface: interface.id.to_string(),
            mac: interface.mac.to_string(),
            groups: groups.join("\n"),
            subnet: interface.subnet.to_string(),
            vpc: interface.vpc.to_string(),
            reservation: instance.reservation.to_string(),
        }
    }
}

/// Makes a region and gives its instances to `peers`, the NAT instance first. Regions made so have the same ids.
fn populate(people: &People, account: &str, peers: &[Ipv4Addr]) {
    let mut region = Region::new(
        RegionKey { account: AccountId(account.to_owned()), region: RegionName("eu-west-1".to_owned()) },
        1,
    );
    let vpc = Change::CreateVpc { cidr: "10.210.0.0/16".parse().unwrap(), tags: Tags::new() };
    let Ok(Applied::Vpc(vpc)) = region.apply(vpc) else { panic!("no VPC") };
    let more = Change::AssociateVpcCidrBlock { vpc, cidr: "10.211.0.0/16".parse().unwrap() };
    region.apply(more).unwrap();
    let import = Change::ImportKeyPair {
        name: "me".to_owned(),
        public_key: PUBLIC_KEY.to_owned(),
        fingerprint: String::new(),
        time: 0,
        tags: Tags::new(),
    };
    region.apply(import).unwrap();
    let igw = Change::CreateInternetGateway { tags: Tags::new() };
    let Ok(Applied::InternetGateway(igw)) = region.apply(igw) else { panic!("no gateway") };
    region.apply(Change::AttachInternetGateway { igw, vpc }).unwrap();
    let testers = subnet(&mut region, vpc, "10.210.0.0/17");
    let gateways = subnet(&mut region, vpc, "10.210.128.0/17");
    let groups = ["gateway", "admin"].map(|name| group(&mut region, vpc, name));

    let launch = |interface| Launch::new(IMAGE.parse().unwrap(), "t1.micro".to_owned(), interface);
    let plain = NewInterface { source_dest_check: false, ..NewInterface::new(testers) };
    let nat = Launch {
        key_name: Some("me".to_owned()),
        user_data: Some(USER_DATA.to_vec()),
        time: 1_709_251_200,
        ..launch(NewInterface {
            private_ip: Some(Ipv4Addr::new(10, 210, 216, 13)),
            groups: groups.to_vec(),
            source_dest_check: false,
            ..NewInterface::new(gateways)
        })
    };
    let tester = launch(NewInterface { private_ip: Some(Ipv4Addr::new(10, 210, 7, 14)), ..plain.clone() });
    let strict =
        Launch { metadata: MetadataOptions { hop_limit: 3, tokens_required: true }, ..launch(plain) };
    let interfaces = [nat, tester, strict].map(|launch| run(&mut region, launch));
    associate(&mut region, interfaces[0], Ipv4Addr::new(203, 0, 113, 13));

    let region = Arc::new(region);
    for (peer, interface) in peers.iter().zip(interfaces) {
        people.0.lock().unwrap().insert(*peer, Caller { region: Arc::clone(&region), interface });
    }
}

fn subnet(region: &mut Region, vpc: VpcId, cidr: &str) -> SubnetId {
    let availability_zone = Some("eu-west-1b".to_owned());
    let cidr = cidr.parse().unwrap();
    match region.apply(Change::CreateSubnet { vpc, cidr, availability_zone, tags: Tags::new() }) {
        Ok(Applied::Subnet(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn group(region: &mut Region, vpc: VpcId, name: &str) -> SecurityGroupId {
    let (name, description) = (name.to_owned(), name.to_owned());
    match region.apply(Change::CreateSecurityGroup { vpc, name, description, tags: Tags::new() }) {
        Ok(Applied::SecurityGroup(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn run(region: &mut Region, launch: Launch) -> InterfaceId {
    match region.apply(Change::RunInstances(launch)) {
        Ok(Applied::Instances { instances, .. }) => region.instances()[&instances[0]].interfaces[0],
        other => panic!("{other:?}"),
    }
}

fn associate(region: &mut Region, interface: InterfaceId, public_ip: Ipv4Addr) {
    let allocation = match region.apply(Change::AllocateAddress { public_ip, tags: Tags::new() }) {
        Ok(Applied::Address(id)) => id,
        other => panic!("{other:?}"),
    };
    region.apply(Change::AssociateAddress { allocation, interface, private_ip: None }).unwrap();
}
