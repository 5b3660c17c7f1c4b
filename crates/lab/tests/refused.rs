//! Lab files that must be refused, each with the exact words and the line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::fs;

use lab::deploy::deploy;
use lab::file::Lab;
use model::Region;
use proptest::prelude::*;

/// A small lab that is in order. Each case below spoils one thing in it.
const GOOD: &str = r#"name: small
cloud:
  region: eu-west-1
  template:
    Resources:
      Vpc:
        Type: AWS::EC2::VPC
        Properties: {CidrBlock: 10.0.0.0/16}
      Subnet:
        Type: AWS::EC2::Subnet
        Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.0/24}
      Gateway: {Type: AWS::EC2::InternetGateway}
      Attachment:
        Type: AWS::EC2::VPCGatewayAttachment
        Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}
      Table: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
      Route:
        Type: AWS::EC2::Route
        DependsOn: Attachment
        Properties: {RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Gateway}
      Server:
        Type: AWS::EC2::Instance
        Properties:
          ImageId: ami-00000000000000001
          InstanceType: m4.large
          SubnetId: !Ref Subnet
          Tags: [{Key: Name, Value: server}]
      Address: {Type: AWS::EC2::EIP, DependsOn: Attachment, Properties: {InstanceId: !Ref Server}}
internet:
  pool: 203.0.113.0/29
  elastic_ips: {Address: 203.0.113.3}
guests:
  Server: {masquerade: [{out: tun0}]}
sites:
  office:
    segments: {lan: 192.168.0.0/24, other: 192.168.1.0/24}
    hosts:
      pc:
        interfaces: {eth0: {segment: lan, address: 192.168.0.2}}
        routes: {default: 192.168.0.1}
    routers:
      router:
        interfaces:
          eth0: {segment: lan, address: 192.168.0.1}
          eth1: {segment: internet, address: 198.51.100.8, delay: 2ms}
        routes: {default: eth1}
        masquerade: [{out: eth1}]
tunnels:
  way:
    tunnel:
      a: {on: router, device: tun0, address: 10.9.0.2, routes: [10.0.0.0/16]}
      b: {on: Server, device: tun0, address: 10.9.0.1}
"#;

/// What `lab up` would say about this lab file, without its directory; `None` if nothing.
fn refusal(text: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.yaml");
    fs::write(&path, text).unwrap();
    let deployed = Lab::load(&path).and_then(|lab| {
        let mut region = Region::new(lab.region.clone(), 1);
        deploy(&lab, &mut region)
    });
    let error = deployed.err()?.to_string();
    Some(error.replace(&format!("{}/", directory.path().display()), ""))
}

/// Whether a refusal is as expected, in which `{…}` stands for anything.
fn is(refusal: Option<&str>, expected: &str) -> bool {
    match (refusal, expected.split_once("{…}")) {
        (Some(refusal), Some((start, end))) => refusal.starts_with(start) && refusal.ends_with(end),
        (refusal, None) => refusal == Some(expected),
        (None, Some(_)) => false,
    }
}

fn assert_refused(cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (from, to, expected) in cases {
        assert_eq!(GOOD.matches(from).count(), 1, "`{from}` must stand once in the lab file");
        let refusal = refusal(&GOOD.replace(from, to));
        if !is(refusal.as_deref(), expected) {
            wrong.push(format!("{from} -> {to}\n  expected: {expected}\n  refused:  {refusal:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn the_lab_that_the_cases_spoil_is_in_order() {
    assert_eq!(refusal(GOOD), None);
}

#[test]
fn keys_and_values() {
    assert_refused(&[
        (
            "name: small",
            "name: Small",
            "x.yaml:1:7: `Small` is not a lab's name: lower case letters, digits and hyphens, a letter first, 31 at most",
        ),
        ("name: small", "", "x.yaml:2:1: the lab file lacks `name`"),
        (
            "guests:",
            "guest:",
            "x.yaml:32:1: unknown key `guest` in the lab file (known: name, cloud, internet, images, guests, sites, tunnels)",
        ),
        ("region: eu-west-1", "region: [eu]", "x.yaml:3:11: `region` must be a single value, not a list"),
        (
            "region: eu-west-1",
            "region: eu-west-1\n  account: 12",
            "x.yaml:4:12: `12` is not an account id: twelve digits",
        ),
        (
            "pool: 203.0.113.0/29",
            "pool: 203.0.113.1/29",
            "x.yaml:30:9: `203.0.113.1/29` is not a network: bits beyond its length are set",
        ),
        (
            "pool: 203.0.113.0/29",
            "pool: 127.0.0.0/8",
            "x.yaml:30:9: `127.0.0.0/8` is not a network of ordinary unicast addresses",
        ),
        ("delay: 2ms", "delay: 2", "x.yaml:45:67: `2` is not a delay such as 15.5ms (with s, ms or us)"),
        (
            "delay: 2ms",
            "speed: 2",
            "x.yaml:45:60: unknown key `speed` in interface `eth1` (known: segment, address, address6, delay)",
        ),
        (
            "lan: 192.168.0.0/24",
            "lan: 192.168.0.0/31",
            "x.yaml:36:21: `192.168.0.0/31` is not a network with room for two hosts (/30 or shorter)",
        ),
        (
            "masquerade: [{out: eth1}]",
            "masquerade: [{out: eth1, to: x}]",
            "x.yaml:47:34: unknown key `to` in `masquerade` (known: from, out)",
        ),
        ("masquerade: [{out: eth1}]", "run: [[]]", "x.yaml:47:15: a program to run needs at least its name"),
        ("masquerade: [{out: eth1}]", "routes: {}", "x.yaml:47:9: `routes` stands twice: already at line 46"),
        (
            "  template:",
            "  template: missing.yaml\n  x:",
            "x.yaml:5:3: unknown key `x` in `cloud` (known: account, region, template, parameters, quotas)",
        ),
    ]);
}

#[test]
fn images() {
    assert_refused(&[
        (
            "guests:",
            "images: {ami-1: {}}\nguests:",
            "x.yaml:32:10: `ami-1` is not an image id such as ami-0123456789abcdef0",
        ),
        (
            "guests:",
            "images: {ami-00000000000000002: {files: {etc/x: y}}}\nguests:",
            "x.yaml:32:42: `etc/x` is not the absolute path of a file",
        ),
        (
            "guests:",
            "images: {ami-00000000000000002: {files: {/etc/../x: y}}}\nguests:",
            "x.yaml:32:42: `/etc/../x` is not the absolute path of a file",
        ),
        (
            "ami-00000000000000001",
            "ami-00000000000000009",
            "x.yaml:24:20: image `ami-00000000000000009` is neither declared in the lab file's `images` nor registered (the host's own is ami-00000000000000001)",
        ),
    ]);
}

#[test]
fn names() {
    assert_refused(&[
        ("      pc:", "      fabric:", "x.yaml:38:7: the name `fabric` is one that the lab itself uses"),
        (
            "      pc:",
            "      Pc:",
            "x.yaml:38:7: `Pc` is not a name: lower case letters, digits and hyphens, a letter first, 31 at most",
        ),
        ("      pc:", "      router:", "x.yaml:42:7: the name `router` is taken by a host, at x.yaml:38:7"),
        ("      pc:", "      server:", "x.yaml:21:7: the name `server` is taken by a host, at x.yaml:38:7"),
        (
            "other: 192.168.1.0/24",
            "internet: 192.168.1.0/24",
            "x.yaml:36:37: the name `internet` is one that the lab itself uses",
        ),
        (
            "sites:\n",
            "sites:\n  home: {segments: {lan: 192.168.2.0/24}}\n",
            "x.yaml:37:16: the name `lan` is taken by a segment, at x.yaml:35:21",
        ),
        (
            "eth0: {segment: lan, address: 192.168.0.2}",
            "lo: {segment: lan, address: 192.168.0.2}",
            "x.yaml:39:22: `lo` is not a link's name: lower case letters, digits and hyphens, 15 at most, not lo",
        ),
        (
            "guests:\n  Server",
            "guests:\n  Vpc",
            "x.yaml:33:3: `Vpc` is no AWS::EC2::Instance of the template",
        ),
        (
            "{Address: 203.0.113.3}",
            "{Addres: 203.0.113.3}",
            "x.yaml:31:17: `Addres` is no AWS::EC2::EIP of the template",
        ),
    ]);
}

#[test]
fn addresses() {
    assert_refused(&[
        (
            "segment: lan, address: 192.168.0.2",
            "segment: wan, address: 192.168.0.2",
            "x.yaml:39:38: no segment is called `wan` (there are: internet, lan, other)",
        ),
        (
            "address: 192.168.0.2",
            "address: 192.168.1.2",
            "x.yaml:39:52: 192.168.1.2 is no host address of segment `lan`, 192.168.0.0/24",
        ),
        (
            "address: 192.168.0.2",
            "address: 192.168.0.255",
            "x.yaml:39:52: 192.168.0.255 is no host address of segment `lan`, 192.168.0.0/24",
        ),
        (
            "      pc:",
            "      twin: {interfaces: {eth0: {segment: lan, address: 192.168.0.2}}}\n      pc:",
            "x.yaml:38:27: 192.168.0.2 is taken by `pc`",
        ),
        (
            "address: 198.51.100.8",
            "address: 203.0.113.5",
            "x.yaml:45:11: 203.0.113.5 lies in the cloud's pool 203.0.113.0/29",
        ),
        (
            "{Address: 203.0.113.3}",
            "{Address: 203.0.113.9}",
            "x.yaml:31:26: 203.0.113.9 lies outside of the pool 203.0.113.0/29",
        ),
        (
            "          eth1: {",
            "          eth2: {segment: lan, address: 192.168.0.9}\n          eth1: {",
            "x.yaml:45:11: `eth0` (192.168.0.0/24) and `eth2` (192.168.0.0/24) overlap",
        ),
    ]);
}

#[test]
fn ipv6_outside_the_cloud() {
    let outside = "address: 198.51.100.8, address6: 3fff::8";
    assert_refused(&[
        (
            "address: 198.51.100.8",
            "address: 198.51.100.8, address6: 2001:db8:1::8",
            "x.yaml:45:11: 2001:db8:1::8 lies in the cloud's pool 2001:db8::/32",
        ),
        (
            "address: 198.51.100.8",
            "address: 198.51.100.8, address6: fe80::8",
            "x.yaml:45:70: `fe80::8` is not an ordinary IPv6 unicast address",
        ),
        (
            "address: 192.168.0.2}",
            "address: 192.168.0.2, address6: 3fff::2}",
            "x.yaml:39:75: segment `lan` has no IPv6: only hosts on the segment `internet` can have an `address6`",
        ),
        (
            "default: eth1",
            "default: eth1, \"::/0\": eth1",
            "x.yaml:46:41: a route to nowhere: eth1 is no interface of this host with an `address6`",
        ),
    ]);
    let lab = GOOD.replace("address: 198.51.100.8", outside);
    assert!(lab.contains(outside));
    let twice = lab.replace("default: eth1", r#"default: eth1, "3fff::/20": eth1, "3fff:0::/20": eth1"#);
    let bits = lab.replace("default: eth1", r#"default: eth1, "3fff::1/20": eth1"#);
    assert_eq!(refusal(&lab), None);
    assert!(refusal(&twice).unwrap().ends_with("`router` has a route to 3fff::/20 already, at x.yaml:46:33"));
    assert!(
        refusal(&bits).unwrap().ends_with("`3fff::1/20` is not a network: bits beyond its length are set")
    );
}

#[test]
fn routes_to_nowhere() {
    assert_refused(&[
        (
            "default: 192.168.0.1",
            "default: 192.168.0.7",
            "x.yaml:40:18: a route to nowhere: 192.168.0.7 is nobody's address on segment `lan`",
        ),
        (
            "default: 192.168.0.1",
            "default: 192.168.1.1",
            "x.yaml:40:27: a route to nowhere: 192.168.1.1 is on no segment of this host",
        ),
        (
            "default: 192.168.0.1",
            "default: 192.168.0.2",
            "x.yaml:40:27: a route to nowhere: 192.168.0.2 is this host itself",
        ),
        (
            "default: 192.168.0.1",
            "default: eth5",
            "x.yaml:40:27: a route to nowhere: eth5 is neither an address nor an interface of this host",
        ),
        (
            "default: 192.168.0.1",
            "10.0.0.1/8: 192.168.0.1",
            "x.yaml:40:18: `10.0.0.1/8` is not a network: bits beyond its length are set",
        ),
        (
            "default: eth1",
            "default: eth1, 10.0.0.0/16: 192.168.0.2",
            "x.yaml:51:10: `router` has a route to 10.0.0.0/16 already, at x.yaml:46:33",
        ),
        (
            "[{out: eth1}]",
            "[{out: eth5}]",
            "x.yaml:47:22: `router` has no interface `eth5` (it has: eth0, eth1, tun0)",
        ),
        (
            "[{out: tun0}]",
            "[{out: tun1}]",
            "x.yaml:33:25: `Server` has no interface `tun1` (it has: eth0, tun0)",
        ),
    ]);
}

#[test]
fn tunnels() {
    assert_refused(&[
        (
            "on: Server",
            "on: Serv",
            "x.yaml:52:10: `Serv` is neither a host of the lab nor an instance of the template",
        ),
        ("on: Server", "on: router", "x.yaml:49:3: both ends of the tunnel are on `router`"),
        (
            "on: Server",
            "on: pc",
            "x.yaml:52:10: end b is on `pc`, which has no public address to be dialled at: it needs an interface on the internet",
        ),
        (
            ", Properties: {InstanceId: !Ref Server}",
            "",
            "x.yaml:52:10: end b is on `Server`, which has no public address to be dialled at: it needs an Elastic IP",
        ),
        ("address: 10.9.0.1", "address: 10.9.0.2", "x.yaml:52:10: 10.9.0.2 is taken by the other end"),
        (
            "device: tun0, address: 10.9.0.2",
            "device: eth0, address: 10.9.0.2",
            "x.yaml:51:10: the name `eth0` is taken by an interface, at x.yaml:44:11",
        ),
        (
            "routes: [10.0.0.0/16]",
            "routes: [203.0.113.0/24]",
            "x.yaml:51:10: the route 203.0.113.0/24 would lead the tunnel's own packets, to 203.0.113.3, into the tunnel",
        ),
        ("    tunnel:", "    port: 0\n    tunnel:", "x.yaml:50:11: `0` is not a UDP port"),
    ]);
}

#[test]
fn resources() {
    assert_refused(&[
        (
            "      Gateway: {",
            "      Second: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.128/25}}\n      Gateway: {",
            "x.yaml:12:81: Second: The CIDR '10.0.1.128/25' conflicts with another subnet (InvalidSubnet.Conflict)",
        ),
        (
            "CidrBlock: 10.0.1.0/24",
            "CidrBlock: 10.1.1.0/24",
            "x.yaml:11:50: Subnet: The CIDR '10.1.1.0/24' is invalid. (InvalidSubnet.Range)",
        ),
        (
            "CidrBlock: 10.0.1.0/24",
            "CidrBlock: 10.0.1.0",
            "x.yaml:11:50: `10.0.1.0` is not an IPv4 network such as 10.0.0.0/16",
        ),
        (
            "CidrBlock: 10.0.1.0/24",
            "MapPublicIpOnLaunch: perhaps, CidrBlock: 10.0.1.0/24",
            "x.yaml:11:60: `perhaps` is not true or false",
        ),
        (
            "VpcId: !Ref Vpc, CidrBlock",
            "VpcId: !Ref Gateway, CidrBlock",
            "x.yaml:11:29: `{…}` is not the id of a VPC",
        ),
        (
            "VpcId: !Ref Vpc, CidrBlock",
            "VpcId: !Ref Server, CidrBlock",
            "x.yaml:9:7: the resources depend on each other in a circle: Subnet -> Server -> Subnet",
        ),
        (
            "        DependsOn: Attachment\n",
            "        DependsOn: [Attachment, Nobody]\n",
            "x.yaml:19:33: no resource is called `Nobody`",
        ),
        (
            ", GatewayId: !Ref Gateway}",
            "}",
            "x.yaml:20:21: AWS::EC2::Route `Route` needs exactly one of GatewayId, InstanceId, NetworkInterfaceId, EgressOnlyInternetGatewayId, NatGatewayId, VpcPeeringConnectionId",
        ),
        (
            "DestinationCidrBlock: 0.0.0.0/0",
            "DestinationCidrBlock: 10.0.0.0/16",
            "x.yaml:20:70: Route: {…} (RouteAlreadyExists)",
        ),
        (
            "InstanceType: m4.large",
            "InstanceType: large",
            "x.yaml:25:25: `large` is not an instance type such as t1.micro",
        ),
        (
            "InstanceType: m4.large",
            "InstanceType: m4.large\n          PrivateIpAddress: 10.0.1.1",
            "x.yaml:26:29: Server: Address 10.0.1.1 is in subnet's reserved address range (InvalidParameterValue)",
        ),
        (
            "InstanceType: m4.large",
            "InstanceType: m4.large\n          UserData: \"#!/bin/sh\"",
            "x.yaml:26:21: `#!/bin/sh` is not base64 (Fn::Base64 makes it)",
        ),
        (
            "InstanceType: m4.large",
            "InstanceType: m4.large\n          KeyName: k",
            "x.yaml:26:20: Server: The key pair 'k' does not exist (InvalidKeyPair.NotFound)",
        ),
        (
            "InstanceType: m4.large",
            "InstanceType: m4.large\n          Monitoring: true",
            "x.yaml:26:11: property `Monitoring` of AWS::EC2::Instance is not supported (supported: ImageId, InstanceType, SubnetId, PrivateIpAddress, SecurityGroupIds, NetworkInterfaces, SourceDestCheck, UserData, KeyName, DisableApiTermination, MetadataOptions, Ipv6AddressCount, Ipv6Addresses, Tags)",
        ),
        (
            "InstanceType: m4.large",
            "InstanceType: m4.large\n          MetadataOptions: {HttpTokens: maybe}",
            "x.yaml:26:41: `maybe` is not optional or required",
        ),
        (
            "Tags: [{Key: Name, Value: server}]",
            "Tags: [{Key: a, Value: b}, {Key: a, Value: c}]",
            "x.yaml:27:38: `a` stands twice: already at line 27",
        ),
        (
            "Type: AWS::EC2::EIP, DependsOn: Attachment, Properties: {",
            "Type: AWS::EC2::EIP, DependsOn: Attachment, Properties: {Domain: standard, ",
            "x.yaml:28:82: `Domain: standard` is not supported: only vpc is",
        ),
    ]);
}

#[test]
fn interfaces_of_instances() {
    let subnet = "          SubnetId: !Ref Subnet\n";
    assert_refused(&[
        (
            "InstanceType: m4.large",
            "InstanceType: m4.large\n          NetworkInterfaces: [{DeviceIndex: 0, SubnetId: !Ref Subnet}]",
            "x.yaml:27:21: Server: Network interfaces and an instance-level subnet ID, address or security groups \
             may not be specified on the same request. (InvalidParameterCombination)",
        ),
        (
            subnet,
            "          NetworkInterfaces: [{DeviceIndex: 0, SubnetId: !Ref Subnet, NetworkCardIndex: 1}]\n",
            "x.yaml:26:71: unknown key `NetworkCardIndex` in a network interface (known: \
             AssociatePublicIpAddress, DeleteOnTermination, Description, DeviceIndex, GroupSet, Ipv6AddressCount, \
             Ipv6Addresses, NetworkInterfaceId, PrivateIpAddress, SubnetId)",
        ),
        (
            subnet,
            "          NetworkInterfaces: [{DeviceIndex: 0, SubnetId: !Ref Subnet, NetworkInterfaceId: eni-00000001}]\n",
            "x.yaml:26:58: a network interface needs exactly one of NetworkInterfaceId, a new one's properties",
        ),
        (
            subnet,
            "          Ipv6AddressCount: 1\n          NetworkInterfaces: [{DeviceIndex: 0, SubnetId: !Ref Subnet}]\n",
            "x.yaml:26:29: Server: Network interfaces and an instance-level {…} (InvalidParameterCombination)",
        ),
        (
            subnet,
            "          NetworkInterfaces: [{DeviceIndex: 1, SubnetId: !Ref Subnet}]\n",
            "x.yaml:26:30: Server: The launch request must include a network interface at device index 0. \
             (InvalidParameterValue)",
        ),
        (
            subnet,
            "          NetworkInterfaces: [{DeviceIndex: 0, SubnetId: !Ref Subnet, AssociatePublicIpAddress: true}, \
             {DeviceIndex: 1, SubnetId: !Ref Subnet}]\n",
            "x.yaml:26:30: Server: The associatePublicIPAddress parameter cannot be specified when launching with \
             multiple network interfaces. (InvalidParameterCombination)",
        ),
    ]);
    // A tunnel's end dials what does not change.
    let unsteady = GOOD
        .replace(subnet, "          NetworkInterfaces: [{DeviceIndex: 0, SubnetId: !Ref Subnet, AssociatePublicIpAddress: true}]\n")
        .replace("Properties: {InstanceId: !Ref Server}", "Properties: {}");
    let refusal = refusal(&unsteady).unwrap_or_default();
    assert!(refusal.contains("an Elastic IP"), "{refusal}");
}

#[test]
fn security_groups() {
    let rules = |rules: &str| {
        let group = format!(
            "      Group:\n        Type: AWS::EC2::SecurityGroup\n        Properties:\n          GroupDescription: x\n          VpcId: !Ref Vpc\n          {rules}\n      Gateway: {{"
        );
        refusal(&GOOD.replace("      Gateway: {", &group))
    };
    assert_eq!(rules("SecurityGroupIngress: [{IpProtocol: \"-1\", CidrIp: 0.0.0.0/0}]"), None);
    assert_eq!(
        rules("SecurityGroupEgress: [{IpProtocol: -1, CidrIp: 0.0.0.0/0}]"),
        None,
        "in place of the default"
    );
    for (rule, expected) in [
        (
            "SecurityGroupIngress: [{IpProtocol: tcp, CidrIp: 0.0.0.0/0}]",
            "x.yaml:17:34: Group: Must specify both from and to ports with TCP/UDP. (InvalidParameterValue)",
        ),
        (
            "SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 1, CidrIp: 0.0.0.0/0}]",
            "x.yaml:17:34: an ingress rule lacks `ToPort`",
        ),
        (
            "SecurityGroupIngress: [{IpProtocol: nonsense, CidrIp: 0.0.0.0/0}]",
            "x.yaml:17:47: `nonsense` is not a protocol: tcp, udp, icmp, icmpv6, -1 or a number",
        ),
        (
            "SecurityGroupIngress: [{IpProtocol: \"-1\"}]",
            "x.yaml:17:34: an ingress rule needs exactly one of CidrIp, CidrIpv6, SourcePrefixListId, SourceSecurityGroupId",
        ),
        (
            "SecurityGroupEgress: [{IpProtocol: \"-1\", SourceSecurityGroupId: x}]",
            "x.yaml:17:52: unknown key `SourceSecurityGroupId` in an egress rule (known: IpProtocol, FromPort, ToPort, CidrIp, CidrIpv6, DestinationPrefixListId, DestinationSecurityGroupId, Description)",
        ),
        (
            "SecurityGroupIngress: [{IpProtocol: \"-1\", CidrIpv6: 10.0.0.0/8}]",
            "x.yaml:17:63: `10.0.0.0/8` is not an IPv6 network such as 2001:db8::/64",
        ),
    ] {
        assert_eq!(rules(rule).as_deref(), Some(expected), "{rule}");
    }
}

#[test]
fn files_that_are_not_there() {
    let missing = Lab::load(std::path::Path::new("/nonexistent/x.yaml")).unwrap_err().to_string();
    assert_eq!(missing, "/nonexistent/x.yaml: cannot be read: No such file or directory (os error 2)");
    let start = GOOD.find("    Resources:").unwrap();
    let end = GOOD.find("internet:\n").unwrap();
    let text = GOOD.replace(&GOOD[start..end], "").replace("template:\n", "template: y.yaml\n");
    let refusal = refusal(&text).unwrap();
    assert_eq!(refusal, "x.yaml:4:13: cannot be read: y.yaml: No such file or directory (os error 2)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is cut out of a lab file, it is taken or refused at a place in it.
    #[test]
    fn spoilt_files_are_refused_with_a_place(at in 0..GOOD.len(), length in 1..40_usize, by in "[a-z:{}\\[\\]!#&* \n-]{0,6}") {
        let mut text = GOOD.to_owned();
        text.replace_range(at..GOOD.len().min(at + length), &by);
        if let Some(refusal) = refusal(&text) {
            let line = refusal.strip_prefix("x.yaml:").and_then(|rest| rest.split(':').next()?.parse().ok());
            prop_assert!(line.is_some_and(|line: usize| line <= text.lines().count() + 1), "{refusal}");
        }
    }
}
