//! Values for parameters: of the right kind as a rule, by the parameter's name.

use std::collections::{BTreeMap, BTreeSet};

use control::ec2::reference::{Action, Parameter, Standing};

use crate::AMI;
use crate::api::Answer;

/// The ids that answers have told of, by their prefixes.
#[derive(Default)]
pub(super) struct Known(BTreeMap<String, BTreeSet<String>>);

/// What is chosen: always the same for the same seed (SplitMix64, public domain).
pub(super) struct Dice(pub(super) u64);

/// Most ids of a kind that are remembered.
const MOST: usize = 8;

/// The last names of parameters that are ids, with their prefixes.
const IDS: &[(&str, &[&str])] = &[
    ("AllocationId", &["eipalloc"]),
    ("AttachmentId", &["eni-attach"]),
    ("EgressOnlyInternetGatewayId", &["eigw"]),
    ("FlowLogId", &["fl"]),
    ("GatewayId", &["igw"]),
    ("GroupId", &["sg"]),
    ("InstanceId", &["i"]),
    ("InternetGatewayId", &["igw"]),
    ("NatGatewayId", &["nat"]),
    ("NetworkAclId", &["acl"]),
    ("NetworkInterfaceId", &["eni"]),
    ("PeerVpcId", &["vpc"]),
    ("PrefixListId", &["pl"]),
    ("ResourceId", &["vpc", "subnet", "i", "sg", "eni", "nat", "rtb"]),
    ("RouteTableId", &["rtb"]),
    ("SecurityGroupId", &["sg"]),
    ("SecurityGroupRuleId", &["sgr"]),
    ("SubnetCidrReservationId", &["scr"]),
    ("SubnetId", &["subnet"]),
    ("VpcId", &["vpc"]),
    ("VpcPeeringConnectionId", &["pcx"]),
];

/// What is associated by actions whose names have this in them, as the prefixes of the associations.
const ASSOCIATIONS: &[(&str, &[&str])] = &[
    ("RouteTable", &["rtbassoc"]),
    ("NetworkAcl", &["aclassoc"]),
    ("VpcCidr", &["vpc-cidr-assoc"]),
    ("SubnetCidr", &["subnet-cidr-assoc"]),
    ("Address", &["eipassoc"]),
];

/// The last names of other parameters, with what they can be.
const TEXTS: &[(&str, &[&str])] = &[
    ("Address", &["203.0.113.3", "198.51.100.1"]),
    ("AddressFamily", &["IPv4", "IPv6"]),
    ("Architecture", &["x86_64", "arm64"]),
    ("AvailabilityZone", &["eu-west-1a", "eu-west-1b", "eu-west-1z"]),
    ("Cidr", &["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32", "10.0.1.64/27", "2001:db8::/72"]),
    ("CidrBlock", &["10.0.0.0/16", "10.0.1.0/24", "10.0.2.0/28", "10.1.0.0/16", "10.0.0.0/24"]),
    ("CidrIp", &["0.0.0.0/0", "10.0.0.0/8", "192.0.2.7/32"]),
    ("CidrIpv6", &["::/0", "2001:db8::/32"]),
    ("ClientToken", &["one", "two"]),
    ("DestinationCidrBlock", &["0.0.0.0/0", "192.0.2.0/24", "10.0.0.0/16", "10.0.1.0/24"]),
    ("DestinationIpv6CidrBlock", &["::/0", "2001:db8:ff::/48"]),
    ("GroupName", &["web", "db"]),
    ("ImageId", &[AMI]),
    ("ImageLocation", &["/srv/image", "/none"]),
    ("InstanceType", &["t3.micro", "m4.large", "t1.micro"]),
    ("IpProtocol", &["tcp", "udp", "icmp", "-1", "47"]),
    ("Ipv4Prefix", &["10.0.1.16/28", "10.0.1.64/28", "10.0.1.0/28"]),
    ("Ipv6Address", &["2001:db8::7", "2001:db8:0:1::7"]),
    ("Ipv6Addresses", &["2001:db8::7", "2001:db8:0:1::7"]),
    ("Ipv6CidrBlock", &["2001:db8::/64", "2001:db8:0:1::/64", "2001:db8:0:100::/64"]),
    ("Ipv6Prefix", &["2001:db8:0:0:7::/80", "2001:db8:0:1:7::/80"]),
    ("KeyName", &["mine"]),
    ("LogDestination", &["arn:aws:s3:::flows", "arn:aws:s3:::others/a/"]),
    ("LogDestinationType", &["s3"]),
    ("LogFormat", &["${version} ${pkt-srcaddr}"]),
    ("NextToken", &["%21"]),
    ("PrivateIpAddress", &["10.0.1.7", "10.0.1.8", "10.0.1.1", "10.0.2.5"]),
    ("Protocol", &["6", "17", "1", "-1"]),
    ("PublicIp", &["203.0.113.1"]),
    ("PublicKeyMaterial", &[KEY]),
    ("ReservationType", &["prefix", "explicit"]),
    ("SecondaryPrivateIpAddress", &["10.0.1.9"]),
    ("UserData", &["Zm9v"]),
];

/// "ssh-ed25519 AAAA…", in base64.
const KEY: &str = "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUoyakdYNWwyekY0UENJYlZObHF2UjFKcjBHN1l3NG9ZcDVXekhjUXYwYUIgZTJl";

const NUMBERS: &[&str] = &["0", "1", "1", "1", "2", "3", "5", "22", "100", "443", "65535", "70000", "-1"];

/// A value for a parameter.
pub(super) fn value(action: &Action, parameter: &Parameter, dice: &mut Dice, known: &Known) -> String {
    let chosen = match parameter.standing {
        Standing::Number => dice.of(NUMBERS),
        Standing::Boolean => dice.of(&["true", "false"]),
        Standing::Only(values) => dice.of(values),
        Standing::Refused => "x",
        Standing::Text => return text(action, &parameter.name, dice, known),
    };
    chosen.to_owned()
}

fn text(action: &Action, name: &str, dice: &mut Dice, known: &Known) -> String {
    let last = name.split('.').rfind(|part| !matches!(*part, "N" | "Value")).unwrap_or_default();
    let find = |table: &[(&str, &'static [&'static str])]| {
        table.iter().find(|(known, _)| *known == last).map(|(_, values)| *values)
    };
    if last == "ResourceType" {
        return resource_type(action.name);
    }
    let associated = || {
        let of_action = ASSOCIATIONS.iter().find(|(what, _)| action.name.contains(what));
        of_action.filter(|_| last == "AssociationId").map(|(_, prefixes)| *prefixes)
    };
    if let Some(prefixes) = find(IDS).or_else(associated) {
        // Seldom an id of another kind, or of nothing.
        let prefix = if dice.one_in(30) { "subnet" } else { dice.of(prefixes) };
        let nothing = || format!("{prefix}-0123456789abcdef0");
        return known.any(prefix, dice).filter(|_| !dice.one_in(30)).unwrap_or_else(nothing);
    }
    find(TEXTS).map_or("some", |values| dice.of(values)).to_owned()
}

/// What tags can be given to with an action.
fn resource_type(action: &str) -> String {
    let made = match action {
        "AllocateAddress" => "ElasticIp",
        "CreateManagedPrefixList" => "PrefixList",
        "CreateNatGateway" => "Natgateway",
        "ImportKeyPair" => "KeyPair",
        "RegisterImage" => "Image",
        "RunInstances" => "Instance",
        _ if action.starts_with("AuthorizeSecurityGroup") => "SecurityGroupRule",
        _ => action.trim_start_matches("Create"),
    };
    let mut text = String::new();
    for letter in made.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

impl Known {
    /// Remembers the ids of an answer of success.
    pub(super) fn learn(&mut self, answer: &Answer) {
        for id in answer.ids() {
            let Some((prefix, _)) = id.rsplit_once('-') else { continue };
            let of_kind = self.0.entry(prefix.to_owned()).or_default();
            of_kind.insert(id);
            if of_kind.len() > MOST {
                of_kind.pop_first();
            }
        }
    }

    fn any(&self, prefix: &str, dice: &mut Dice) -> Option<String> {
        let ids: Vec<&str> = self.0.get(prefix)?.iter().map(String::as_str).collect();
        Some(dice.of(&ids).to_owned())
    }
}

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.throw().is_multiple_of(many)
    }

    fn of<'a>(&mut self, these: &[&'a str]) -> &'a str {
        these[(self.throw() % these.len() as u64) as usize]
    }
}
