//! Stacks: applied, changed and deleted, whatever was there before.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::collections::BTreeMap;

use lab::deploy::{Deed, Done, Stack};
use lab::file::Lab;
use lab::template::{Setting, Template};
use lab::world::POOL6;
use model::{Change, Destination, InstanceState, NameServer, NatGatewayState, Region, RouteTarget};
use proptest::prelude::*;

/// 43 resources of nearly all types.
const NETWORK: &str = include_str!("../../../labs/templates/network.cfn.yaml");

/// A cloud in memory with one stack.
struct World {
    lab: Lab,
    region: Region,
    stack: Option<Stack>,
}

impl World {
    fn new() -> Self {
        let lab = Lab::without_world("w", "203.0.113.0/28".parse().unwrap(), POOL6);
        let region = Region::new(lab.region.clone(), 7);
        Self { lab, region, stack: None }
    }

    /// Applies, as one transaction, and lets everything start.
    fn apply(&mut self, text: &str, parameters: &[(&str, &str)]) -> Result<Vec<Done>, String> {
        let mut setting = Setting::new(self.lab.region.clone(), "web");
        setting.parameters = parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        setting.previous = self.stack.as_ref().map(|stack| stack.parameters.clone()).unwrap_or_default();
        let template = Template::parse("t.yaml", text, &setting).map_err(|e| e.to_string())?;
        let mut region = self.region.clone();
        let applied = Stack::apply(self.stack.as_ref(), &self.lab, &template, &setting, &mut region);
        let (stack, done) = applied.map_err(|e| e.to_string())?;
        (self.stack, self.region) = (Some(stack), region);
        self.start();
        Ok(done)
    }

    fn delete(&mut self) -> Result<Vec<Done>, String> {
        let mut region = self.region.clone();
        let done = self.stack.as_ref().unwrap().delete("web", &mut region).map_err(|e| e.to_string())?;
        (self.stack, self.region) = (None, region);
        Ok(done)
    }

    fn start(&mut self) {
        for instance in self.region.clone().instances().values() {
            if instance.state == InstanceState::Pending {
                let change =
                    Change::SetInstanceState { instance: instance.id, state: InstanceState::Running };
                self.region.apply(change).unwrap();
            }
        }
        for gateway in self.region.clone().nat_gateways().values() {
            if gateway.state == NatGatewayState::Pending {
                let change =
                    Change::SetNatGatewayState { gateway: gateway.id, state: NatGatewayState::Available };
                self.region.apply(change).unwrap();
            }
        }
    }

    fn output(&self, name: &str) -> &str {
        &self.stack.as_ref().unwrap().outputs[name]
    }
}

/// Deeds by logical id.
fn deeds(done: &[Done]) -> BTreeMap<&str, Deed> {
    done.iter().map(|done| (done.logical.as_str(), done.deed)).collect()
}

/// All that stands, without ids: what is equal here cannot be told apart from outside.
fn shape(region: &Region) -> Vec<String> {
    let mut shape = Vec::new();
    for vpc in region.vpcs().values() {
        shape.push(format!("vpc {} {:?} {}", vpc.cidr, vpc.tags.get("Name"), vpc.enable_dns_hostnames));
        shape.extend(vpc.secondary_cidrs.iter().map(|block| format!("vpc block {}", block.cidr)));
    }
    for subnet in region.subnets().values() {
        let (cidr, zone, public) = (subnet.cidr, &subnet.availability_zone, subnet.map_public_ip_on_launch);
        let own = region.vpcs()[&subnet.vpc].default_network_acl != subnet.network_acl.acl;
        shape.push(format!("subnet {cidr} {zone} {public} {own}"));
    }
    for table in region.route_tables().values() {
        for route in table.routes() {
            let kind = match route.target {
                RouteTarget::Instance { instance, .. } => region.instances()[&instance].state.to_string(),
                target => format!("{target:?}").split('(').next().unwrap().to_owned(),
            };
            let destination = match route.destination {
                Destination::PrefixList(list) => region.prefix_lists()[&list].name.clone(),
                destination => destination.to_string(),
            };
            shape.push(format!("route {destination} {kind}"));
        }
        shape.push(format!("table of {} subnets", table.associations.len()));
    }
    for group in region.security_groups().values() {
        let named = |peer: &model::Peer| match peer {
            model::Peer::Group(group) => region.security_groups()[group].description.clone(),
            model::Peer::PrefixList(list) => region.prefix_lists()[list].name.clone(),
            peer => format!("{peer:?}"),
        };
        shape.extend(group.rules().map(|rule| {
            let (direction, ports) = (rule.direction, rule.ports);
            let (protocol, peer) = (rule.protocol, named(&rule.peer));
            format!("{} {direction:?} {protocol} {ports:?} {peer} {:?}", group.description, rule.description)
        }));
        shape.push(format!("group {}", group.description));
    }
    for acl in region.network_acls().values() {
        shape.push(format!("acl {:?} {:?}", acl.ingress, acl.egress));
    }
    for list in region.prefix_lists().values() {
        shape.push(format!("list {} {} {:?}", list.name, list.max_entries, list.entries));
    }
    for interface in region.interfaces().values() {
        let tied = interface.attachment.as_ref();
        let tied = tied.map(|tied| (tied.device_index, tied.delete_on_termination));
        let groups = interface.groups.iter().map(|id| &region.security_groups()[id].description);
        shape.push(format!(
            "interface {} {tied:?} {} {:?} {}",
            region.subnets()[&interface.subnet].cidr,
            interface.source_dest_check,
            groups.collect::<Vec<_>>(),
            interface.description.split(" nat-").next().unwrap(),
        ));
    }
    for instance in region.instances().values() {
        if instance.state != InstanceState::Terminated {
            let (kind, key) = (&instance.instance_type, &instance.key_name);
            let data = instance.user_data.as_deref().map(String::from_utf8_lossy);
            let protected = instance.disable_api_termination;
            shape.push(format!("{kind} {key:?} {data:?} {protected} {:?}", instance.metadata));
        }
    }
    for gateway in region.nat_gateways().values() {
        if gateway.state != NatGatewayState::Deleted {
            let addresses = gateway.addresses.iter();
            let going = addresses.filter(|own| own.status != model::NatGatewayAddressStatus::Succeeded);
            shape.push(format!("nat {} {}", gateway.addresses.len() - going.count(), gateway.tags.len()));
        }
    }
    shape.extend(region.key_pairs().values().map(|own| format!("{} {}", own.name, own.fingerprint)));
    shape.extend(region.addresses().values().map(|own| format!("address {}", own.association.is_some())));
    shape.extend(region.internet_gateways().values().map(|own| format!("gateway {}", own.vpc.is_some())));
    shape.extend(region.egress_only_internet_gateways().values().map(|_| "egress only".to_owned()));
    shape.sort();
    shape
}

/// What only one of two regions has.
fn apart(one: &Region, other: &Region) -> Vec<String> {
    let (one, mut other) = (shape(one), shape(other));
    let mut only = Vec::new();
    for line in one {
        match other.iter().position(|known| *known == line) {
            Some(at) => drop(other.remove(at)),
            None => only.push(format!("one: {line}")),
        }
    }
    only.extend(other.into_iter().map(|line| format!("other: {line}")));
    only
}

/// Edits of the template, each of which can be there or not.
const EDITS: &[(&str, &str)] = &[
    ("{IpProtocol: icmp, FromPort: -1, ToPort: -1, ", "{IpProtocol: tcp, FromPort: 443, ToPort: 444, "),
    ("        - {IpProtocol: icmp, FromPort: -1, ToPort: -1, CidrIp: !GetAtt Vpc.CidrBlock}\n", ""),
    ("{GroupDescription: clients, VpcId: !Ref Vpc}", "{GroupDescription: guests, VpcId: !Ref Vpc}"),
    (
        "{GroupDescription: clients, VpcId: !Ref Vpc}",
        "{GroupDescription: clients, VpcId: !Ref Vpc, SecurityGroupEgress: [{IpProtocol: '17', FromPort: 53, ToPort: 53, CidrIp: 10.0.0.1/8}]}",
    ),
    (
        "      AvailabilityZone: !Select [1, !GetAZs \"\"]\n",
        "      AvailabilityZone: !Select [1, !GetAZs \"\"]\n      MapPublicIpOnLaunch: true\n",
    ),
    (
        "      MaxEntries: 3\n      Entries: [{Cidr: 198.51.100.0/24}, ",
        "      MaxEntries: 5\n      Entries: [{Cidr: 198.51.0.0/16}, {Cidr: 10.0.0.0/8}, ",
    ),
    (
        "RuleNumber: 100, Protocol: -1, RuleAction: allow, CidrBlock: 0.0.0.0/0}\n  AclOut",
        "RuleNumber: 100, Protocol: 50, RuleAction: deny, CidrBlock: 0.0.0.0/0}\n  AclOut",
    ),
    (
        "RuleNumber: 100, Protocol: -1, RuleAction: allow, CidrBlock: 0.0.0.0/0}\n  AclA",
        "RuleNumber: 90, Protocol: -1, RuleAction: allow, CidrBlock: 0.0.0.0/0}\n  AclA",
    ),
    (
        "GroupSet: [!Ref Web], Description: the second one",
        "GroupSet: [!Ref Clients, !Ref Web], Description: another one",
    ),
    ("DeleteOnTermination: false", "DeleteOnTermination: true"),
    ("DeviceIndex: 1", "DeviceIndex: 2"),
    ("NetworkInterfaceId: !Ref SpareInterface", "InstanceId: !Ref ClientA"),
    (
        "{SubnetId: !Ref PrivateB, RouteTableId: !Ref PrivateTable}",
        "{SubnetId: !Ref PrivateB, RouteTableId: !Ref PublicTable}",
    ),
    ("CidrBlock: 10.82.0.0/28", "CidrBlock: 10.82.0.0/27"),
    ("      EnableDnsSupport: true\n", "      EnableDnsHostnames: true\n"),
    ("{Key: Name, Value: !Ref AWS::StackName}, ", "{Key: Name, Value: another}, {Key: More, Value: tags}, "),
    ("      KeyName: !Ref Key\n", "      MetadataOptions: {HttpTokens: required}\n"),
    ("AAAAIA2eeSpAtNgEQzI0j8Qdhz7NjugNLm3+B21CyzzVo5zg", "AAAAIB2eeSpAtNgEQzI0j8Qdhz7NjugNLm3+B21CyzzVo5zg"),
    ("      SourceDestCheck: false\n", ""),
    ("{SubnetId: !Ref PublicB, GroupSet: [!Ref Web]}", "{SubnetId: !Ref PublicA, GroupSet: [!Ref Web]}"),
];
/// Runs of resources that can be left out.
const CUTS: &[(&str, &str)] = &[
    ("  Peer: {", "  Out: {"),
    ("  Acl: {", "  Offices:"),
    ("  ClientsFromOffices:", "  Key:"),
    ("  ServerAddress: {Type", "  SpareInterface:"),
    ("  WebInterfaceAttachment:", "  Server:\n"),
    ("  MoreSubnet:", "Outputs:"),
];

/// One version of the template.
#[derive(Debug, Clone)]
struct Version {
    edits: Vec<bool>,
    cuts: Vec<bool>,
    way: &'static str,
    size: &'static str,
    ports: &'static str,
}

impl Version {
    fn text(&self) -> String {
        let mut text = NETWORK.to_owned();
        for ((from, to), _) in EDITS.iter().zip(&self.edits).filter(|(_, there)| **there) {
            text = text.replace(from, to);
        }
        for ((from, to), _) in CUTS.iter().zip(&self.cuts).filter(|(_, there)| **there) {
            let (start, end) = (text.find(from).unwrap(), text.find(to).unwrap());
            text.replace_range(start..end, if *to == "Outputs:" { "\n" } else { "" });
        }
        text
    }

    fn parameters(&self) -> [(&str, &str); 3] {
        [("Way", self.way), ("Size", self.size), ("Ports", self.ports)]
    }
}

fn version() -> impl Strategy<Value = Version> {
    let edits = prop::collection::vec(prop::bool::weighted(0.3), EDITS.len());
    let cuts = prop::collection::vec(prop::bool::weighted(0.2), CUTS.len());
    let way = prop::sample::select(&["gateway", "instance"]);
    let size = prop::sample::select(&["small", "large"]);
    let ports = prop::sample::select(&["80, 8080", "80,8081", "81,8080"]);
    (edits, cuts, way, size, ports).prop_map(|(edits, cuts, way, size, ports)| Version {
        edits,
        cuts,
        way,
        size,
        ports,
    })
}

#[test]
fn the_edits_are_of_the_template() {
    for (from, _) in EDITS.iter().chain(CUTS) {
        assert_eq!(NETWORK.matches(from).count(), 1, "`{from}` must stand once in the template");
    }
    for (_, to) in CUTS {
        assert_eq!(NETWORK.matches(to).count(), 1, "`{to}` must stand once in the template");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// What comes of a template does not depend on what stood before; nothing is left of it when it is deleted.
    #[test]
    fn a_stack_is_what_its_template_says(versions in prop::collection::vec(version(), 1..4)) {
        let mut world = World::new();
        for version in &versions {
            let (text, parameters) = (version.text(), version.parameters());
            world.apply(&text, &parameters).map_err(TestCaseError::fail)?;
            let mut fresh = World::new();
            fresh.apply(&text, &parameters).map_err(TestCaseError::fail)?;
            prop_assert_eq!(apart(&world.region, &fresh.region), Vec::<String>::new());
            let before = world.stack.clone();
            prop_assert_eq!(world.apply(&text, &[]).map_err(TestCaseError::fail)?, []);
            prop_assert_eq!(&world.stack, &before);
        }
        world.delete().map_err(TestCaseError::fail)?;
        prop_assert_eq!(shape(&world.region), Vec::<String>::new());
    }
}

/// A template with these resources.
fn resources(resources: &str) -> String {
    format!("Resources:\n{resources}")
}

#[test]
fn what_can_be_changed_keeps_its_id() {
    let mut world = World::new();
    let created = world.apply(NETWORK, &[]).unwrap();
    assert_eq!(created.len(), 43);
    assert!(created.iter().all(|done| done.deed == Deed::Created));
    let id = |done: &[Done], logical: &str| {
        done.iter().find(|done| done.logical == logical).map(|done| done.physical.clone()).unwrap()
    };
    let changed = world.apply(NETWORK, &[("Ports", "81, 8080"), ("Way", "instance")]).unwrap();
    // The server is another one: its user data has the ports. Its interface is not.
    let expected = [
        ("Nat", Deed::Deleted),
        ("NatAddress", Deed::Deleted),
        ("NatInstance", Deed::Created),
        ("PrivateRoute", Deed::Updated),
        ("Server", Deed::Replaced),
        ("Web", Deed::Updated),
        ("WebInterfaceAttachment", Deed::Replaced),
    ];
    assert_eq!(deeds(&changed), BTreeMap::from(expected));
    assert_eq!(id(&changed, "Web"), id(&created, "Web"));
    assert_ne!(id(&changed, "Server"), id(&created, "Server"));
    assert_eq!(id(&changed, "Server"), world.output("Server"));
    assert!(!world.stack.as_ref().unwrap().outputs.contains_key("NatAddress"));

    let large = world.apply(NETWORK, &[("Size", "large")]).unwrap();
    assert_eq!(deeds(&large).len(), 2, "parameters that are not given stay: {large:?}");
    let deleted = world.delete().unwrap();
    assert!(deleted.iter().all(|done| done.deed == Deed::Deleted) && deleted.len() == 42);
    assert_eq!(deleted.last().unwrap().logical, "Vpc");
}

#[test]
fn a_vpc_gets_dhcp_options_and_loses_them() {
    let template = |domain: &str, options: &str| {
        resources(&format!(
            "  Vpc: {{Type: AWS::EC2::VPC, Properties: {{CidrBlock: 10.0.0.0/16}}}}
  Options:
    Type: AWS::EC2::DHCPOptions
    Properties:
      DomainName: {domain}
      DomainNameServers: [10.0.0.53, AmazonProvidedDNS]
      NtpServers: [10.0.0.123]
      NetbiosNodeType: 2
  Association:
    Type: AWS::EC2::VPCDHCPOptionsAssociation
    Properties: {{VpcId: !Ref Vpc, DhcpOptionsId: {options}}}
"
        ))
    };
    let mut world = World::new();
    let told = |world: &World| {
        let vpc = world.region.vpcs().values().next().unwrap().id;
        world.region.dhcp_configuration_of(vpc).cloned()
    };
    world.apply(&template("one.example", "!Ref Options"), &[]).unwrap();
    let one = told(&world).unwrap();
    let servers = [NameServer::Address([10, 0, 0, 53].into()), NameServer::Amazon];
    assert_eq!(
        (one.domain_name.as_deref(), &one.domain_name_servers[..]),
        (Some("one.example"), &servers[..])
    );
    assert_eq!((&one.ntp_servers[..], one.netbios_node_type), (&[[10, 0, 0, 123].into()][..], Some(2)));

    let done = world.apply(&template("two.example", "!Ref Options"), &[]).unwrap();
    assert_eq!(deeds(&done), BTreeMap::from([("Options", Deed::Replaced), ("Association", Deed::Updated)]));
    assert_eq!(told(&world).unwrap().domain_name.as_deref(), Some("two.example"));
    assert_eq!(world.region.dhcp_options().len(), 2, "with the region's default one");

    world.apply(&template("two.example", "default"), &[]).unwrap();
    assert_eq!(told(&world), None);
    world.apply(&template("two.example", "!GetAtt Options.DhcpOptionsId"), &[]).unwrap();
    let refused = world.apply(&template("'a b!'", "!Ref Options"), &[]).unwrap_err();
    assert!(refused.contains("t.yaml:3:3: Options") && refused.contains("domain-name"), "{refused}");
    world.delete().unwrap();
    assert_eq!(world.region.dhcp_options().len(), 1);
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut world = World::new();
    world.apply(NETWORK, &[]).unwrap();
    let (region, stack) = (world.region.clone(), world.stack.clone());
    for (from, to, expected) in [
        (
            "CidrBlock: 10.82.0.0/28",
            "CidrBlock: 10.83.0.0/28",
            "t.yaml:233:46: MoreSubnet: The CIDR '10.83.0.0/28' is invalid. (InvalidSubnet.Range)",
        ),
        (
            "  Gateway: {Type: AWS::EC2::InternetGateway}",
            "  Gateway: {Type: AWS::EC2::EIP}",
            "t.yaml:44:3: `Gateway` is AWS::EC2::EIP now and was AWS::EC2::InternetGateway: a resource of another type \
             needs another logical id",
        ),
        (
            "Properties: {VpcId: !Ref Vpc, PeerVpcId: !Ref Peer}",
            "Properties: {VpcId: !Ref Vpc, PeerVpcId: !Ref Peer}\n    DependsOn: Nothing",
            "t.yaml:220:16: no resource is called `Nothing`",
        ),
    ] {
        assert_eq!(NETWORK.matches(from).count(), 1, "{from}");
        assert_eq!(world.apply(&NETWORK.replace(from, to), &[]).unwrap_err(), expected);
        assert_eq!((&world.region, &world.stack), (&region, &stack));
    }
}

#[test]
fn images_that_were_registered_can_be_named() {
    let mut world = World::new();
    let register = Change::RegisterImage {
        name: "small".to_owned(),
        description: None,
        location: "/srv/small.tar".to_owned(),
        architecture: "x86_64".to_owned(),
        time: 0,
        tags: Default::default(),
    };
    let model::Applied::Image(image) = world.region.apply(register).unwrap() else { panic!() };
    let text = format!(
        "Parameters: {{Image: {{Type: 'AWS::EC2::Image::Id'}}}}\n{}",
        resources(
            "  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}\n\
             \x20 Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24}}\n\
             \x20 Server:\n    Type: AWS::EC2::Instance\n    Properties: {ImageId: !Ref Image, InstanceType: t3.micro, \
             SubnetId: !Ref Subnet}\n",
        )
    );
    let parameter = image.to_string();
    world.apply(&text, &[("Image", &parameter)]).unwrap();
    assert!(world.region.instances().values().all(|instance| instance.image == image));
    world.delete().unwrap();
    world.region.apply(Change::DeregisterImage { image }).unwrap();
    let error = world.apply(&text, &[("Image", &parameter)]).unwrap_err();
    assert!(error.contains(&parameter), "{error}");
}

#[test]
fn what_others_hold_or_took_away() {
    let mut world = World::new();
    let text = resources(
        "  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}\n\
         \x20 Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24}}\n\
         \x20 Server:\n    Type: AWS::EC2::Instance\n    Properties: {ImageId: ami-00000000000000001, InstanceType: t3.micro, \
         SubnetId: !Ref Subnet, DisableApiTermination: true}\n",
    );
    world.apply(&text, &[]).unwrap();
    let error = world.delete().unwrap_err();
    assert!(error.starts_with("stack web: Server: The instance '"), "{error}");
    assert!(error.ends_with("(OperationNotPermitted)"), "{error}");
    world.apply(&text.replace(", DisableApiTermination: true", ""), &[]).unwrap();

    // Somebody else's subnet is in the way of the VPC; what somebody else took away is not missed.
    let vpc = *world.region.vpcs().keys().next().unwrap();
    let (cidr, tags) = ("10.0.1.0/24".parse().unwrap(), Default::default());
    let other = Change::CreateSubnet { vpc, cidr, availability_zone: None, tags };
    let model::Applied::Subnet(other) = world.region.apply(other).unwrap() else { panic!() };
    let error = world.delete().unwrap_err();
    assert!(error.starts_with("stack web: Vpc: ") && error.ends_with("(DependencyViolation)"), "{error}");
    world.region.apply(Change::DeleteSubnet { subnet: other }).unwrap();
    let instance = *world.region.instances().keys().next().unwrap();
    world.region.apply(Change::TerminateInstance { instance, time: 0 }).unwrap();
    let state = InstanceState::Terminated;
    world.region.apply(Change::SetInstanceState { instance, state }).unwrap();
    world.region.apply(Change::ForgetInstance { instance }).unwrap();
    assert_eq!(world.delete().unwrap().len(), 3);
    assert_eq!(shape(&world.region), Vec::<String>::new());
}

#[test]
fn all_of_a_vpc_is_replaced_with_it_and_deleted_in_an_order_that_is_not_written_down() {
    let mut world = World::new();
    // Nothing says that the gateway must stay as long as the server has a public address.
    let text = |network: &str| {
        resources(&format!(
            "  Vpc: {{Type: AWS::EC2::VPC, Properties: {{CidrBlock: {network}.0.0/16}}}}\n\
             \x20 Subnet:\n    Type: AWS::EC2::Subnet\n    Properties: {{VpcId: !Ref Vpc, CidrBlock: {network}.0.0/24, \
             MapPublicIpOnLaunch: true}}\n\
             \x20 Group: {{Type: AWS::EC2::SecurityGroup, Properties: {{VpcId: !Ref Vpc, GroupDescription: g}}}}\n\
             \x20 Server:\n    Type: AWS::EC2::Instance\n    Properties: {{ImageId: ami-00000000000000001, InstanceType: \
             t3.micro, SubnetId: !Ref Subnet, SecurityGroupIds: [!Ref Group]}}\n\
             \x20 Gateway: {{Type: AWS::EC2::InternetGateway}}\n\
             \x20 Attachment: {{Type: AWS::EC2::VPCGatewayAttachment, Properties: {{VpcId: !Ref Vpc, InternetGatewayId: \
             !Ref Gateway}}}}\n"
        ))
    };
    world.apply(&text("10.1"), &[]).unwrap();
    let attached = world.region.clone();
    let refused = world.apply(&text("10.2"), &[]);
    // EC2 detaches no gateway from a VPC with public addresses.
    assert!(refused.is_err() && world.region == attached, "{refused:?}");
    let alone = |network| text(network).split("  Gateway").next().unwrap().to_owned();
    world.delete().unwrap();
    world.apply(&alone("10.1"), &[]).unwrap();
    let done = world.apply(&alone("10.2"), &[]).unwrap();
    assert!(done.iter().all(|done| done.deed == Deed::Replaced) && done.len() == 4, "{done:?}");
    let names: Vec<_> = world.region.security_groups().values().map(|group| group.name.as_str()).collect();
    assert!(names.contains(&"web-Group-2"), "{names:?}");
    world.apply(&text("10.2"), &[]).unwrap();
    assert_eq!(world.delete().unwrap().len(), 6);
    assert_eq!(shape(&world.region), Vec::<String>::new());
}

#[test]
fn parameters_name_what_there_is() {
    let mut world = World::new();
    let text = "Parameters: {Vpc: {Type: AWS::EC2::VPC::Id}, Zones: {Type: List<AWS::EC2::AvailabilityZone::Name>}}\n\
                Resources:\n  Subnet:\n    Type: AWS::EC2::Subnet\n    Properties: {VpcId: !Ref Vpc, CidrBlock: \
                10.0.0.0/24, AvailabilityZone: !Select [1, !Ref Zones]}\n";
    let zones = ("Zones", "eu-west-1a, eu-west-1c");
    let error = world.apply(text, &[("Vpc", "vpc-0123456789abcdef0"), zones]).unwrap_err();
    assert_eq!(error, "t.yaml:1:14: parameter `Vpc`: there is no VPC `vpc-0123456789abcdef0`");
    let vpc = Change::CreateVpc { cidr: "10.0.0.0/16".parse().unwrap(), tags: Default::default() };
    world.region.apply(vpc).unwrap();
    let vpc = world.region.vpcs().keys().next().unwrap().to_string();
    let error = world.apply(text, &[("Vpc", &vpc), ("Zones", "eu-west-1a,eu-west-1z")]).unwrap_err();
    assert!(error.ends_with("parameter `Zones`: there is no availability zone `eu-west-1z`"), "{error}");
    world.apply(text, &[("Vpc", &vpc), zones]).unwrap();
    assert_eq!(world.region.subnets().values().next().unwrap().availability_zone, "eu-west-1c");
}

#[test]
fn a_nat_gateway_gets_and_drains_addresses() {
    let mut world = World::new();
    let text = |addresses: &str| {
        resources(&format!(
            "  Vpc: {{Type: AWS::EC2::VPC, Properties: {{CidrBlock: 10.0.0.0/16}}}}\n\
             \x20 Subnet: {{Type: AWS::EC2::Subnet, Properties: {{VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24}}}}\n\
             \x20 Gateway: {{Type: AWS::EC2::InternetGateway}}\n\
             \x20 Attachment: {{Type: AWS::EC2::VPCGatewayAttachment, Properties: {{VpcId: !Ref Vpc, InternetGatewayId: \
             !Ref Gateway}}}}\n\
             \x20 A: {{Type: AWS::EC2::EIP}}\n  B: {{Type: AWS::EC2::EIP}}\n  C: {{Type: AWS::EC2::EIP}}\n\
             \x20 Nat:\n    Type: AWS::EC2::NatGateway\n    DependsOn: Attachment\n    Properties: {{SubnetId: !Ref Subnet, \
             AllocationId: !GetAtt A.AllocationId, MaxDrainDurationSeconds: 7, SecondaryAllocationIds: [{addresses}]}}\n"
        ))
    };
    world.apply(&text(""), &[]).unwrap();
    for addresses in ["!GetAtt C.AllocationId", ""] {
        let done = world.apply(&text(addresses), &[]).unwrap();
        assert_eq!(deeds(&done), BTreeMap::from([("Nat", Deed::Updated)]));
    }
    let nat = world.region.nat_gateways().values().next().unwrap();
    let status: Vec<_> = nat.addresses.iter().map(|own| own.status).collect();
    let (stays, goes) = (
        model::NatGatewayAddressStatus::Succeeded,
        model::NatGatewayAddressStatus::Disassociating { until: 7 },
    );
    assert_eq!(status, [stays, goes]);
    assert_eq!(world.delete().unwrap().len(), 8);
}
