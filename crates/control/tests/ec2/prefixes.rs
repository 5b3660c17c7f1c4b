//! Prefixes of network interfaces, and reservations of subnets.

use crate::AMI;
use crate::api::Endpoint;

/// A subnet 10.0.1.0/24 with 2001:db8:0:1::/64.
fn subnet(api: &Endpoint) -> String {
    let create = "CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true";
    let vpc = api.fine("CreateVpc", create).one("vpcId");
    let create = format!("VpcId={vpc}&CidrBlock=10.0.1.0/24&Ipv6CidrBlock=2001:db8:0:1::/64");
    api.fine("CreateSubnet", &create).one("subnetId")
}

fn available(api: &Endpoint, subnet: &str) -> String {
    api.fine("DescribeSubnets", &format!("SubnetId.1={subnet}")).one("availableIpAddressCount")
}

#[test]
fn reservations_come_are_found_and_go() {
    let api = Endpoint::new();
    let subnet = subnet(&api);
    let reserve = |cidr: &str, kind: &str| {
        format!("SubnetId={subnet}&Cidr={cidr}&ReservationType={kind}&Description=mine")
    };
    let tags = "&TagSpecification.1.ResourceType=subnet-cidr-reservation&TagSpecification.1.Tag.1.Key=Name\
                &TagSpecification.1.Tag.1.Value=first";
    let first =
        api.fine("CreateSubnetCidrReservation", &format!("{}{tags}", reserve("10.0.1.0/26", "explicit")));
    let id = first.one("subnetCidrReservationId");
    assert!(id.starts_with("scr-"));
    assert_eq!((first.one("cidr"), first.one("reservationType")), ("10.0.1.0/26".into(), "explicit".into()));
    assert_eq!((first.one("key"), first.one("description")), ("Name".into(), "mine".into()));
    api.fine("CreateSubnetCidrReservation", &reserve("2001:db8:0:1:8000::/66", "prefix"));
    api.fine("CreateSubnetCidrReservation", &reserve("10.0.1.128/27", "prefix"));

    let all = api.fine("GetSubnetCidrReservations", &format!("SubnetId={subnet}"));
    assert_eq!(all.all("cidr").len(), 3);
    assert!(all.all("cidr").last().unwrap().contains("2001:"), "IPv6 comes in a list of its own");
    for (filter, count) in [
        ("reservationType&Filter.1.Value.1=prefix", 2),
        ("tag:Name&Filter.1.Value.1=first", 1),
        ("tag-key&Filter.1.Value.1=other", 0),
    ] {
        let found = format!("SubnetId={subnet}&Filter.1.Name={filter}");
        assert_eq!(api.fine("GetSubnetCidrReservations", &found).all("cidr").len(), count, "{filter}");
    }
    for (cidr, kind, code) in [
        ("10.0.1.32/28", "prefix", "InvalidParameterValue"),
        ("10.0.2.0/28", "prefix", "InvalidParameterValue"),
        ("10.0.1.300/28", "prefix", "InvalidParameterValue"),
        ("10.0.1.192/28", "none", "InvalidParameterValue"),
    ] {
        let refused = api.refused("CreateSubnetCidrReservation", &reserve(cidr, kind));
        assert_eq!(refused, (400, code.to_owned()), "{cidr}");
    }

    assert_eq!(available(&api, &subnet), "251", "what is reserved is not used");
    let create = format!("SubnetId={subnet}");
    let interface = api.fine("CreateNetworkInterface", &create).all("privateIpAddress");
    assert_eq!(interface[0], "10.0.1.64");
    api.fine("CreateNetworkInterface", &format!("{create}&PrivateIpAddress=10.0.1.9"));
    let both = api.fine("CreateNetworkInterface", &format!("{create}&Ipv4PrefixCount=1&Ipv6PrefixCount=1"));
    assert_eq!(both.one("ipv4Prefix"), "10.0.1.128/28");
    assert_eq!(both.one("ipv6Prefix"), "2001:db8:0:1:8000::/80");
    assert_eq!(available(&api, &subnet), "232", "three addresses and sixteen");

    let by_id = format!("SubnetCidrReservationId={id}");
    let api_tags = format!("ResourceId.1={id}&Tag.1.Key=Name&Tag.1.Value=second");
    api.fine("CreateTags", &api_tags);
    assert_eq!(api.fine("DeleteSubnetCidrReservation", &by_id).one("value"), "second");
    let gone = (400, "InvalidSubnetCidrReservationID.NotFound".to_owned());
    assert_eq!(api.refused("DeleteSubnetCidrReservation", &by_id), gone);
    let next = api.fine("CreateNetworkInterface", &create).all("privateIpAddress");
    assert_eq!(next[0], "10.0.1.4");
}

#[test]
fn reservations_come_in_pages() {
    let api = Endpoint::new();
    let subnet = subnet(&api);
    for n in 0..7 {
        let cidr =
            if n % 2 == 0 { format!("10.0.1.{}/28", n * 16) } else { format!("2001:db8:0:1:{n}::/80") };
        let form = format!("SubnetId={subnet}&Cidr={cidr}&ReservationType=explicit");
        api.fine("CreateSubnetCidrReservation", &form);
    }
    let first = api.fine("GetSubnetCidrReservations", &format!("SubnetId={subnet}&MaxResults=5"));
    assert_eq!(first.all("cidr").len(), 5);
    let more = format!("SubnetId={subnet}&MaxResults=5&NextToken={}", first.one("nextToken"));
    assert_eq!(api.fine("GetSubnetCidrReservations", &more).all("cidr").len(), 2);
}

#[test]
fn prefixes_are_assigned_and_taken_back() {
    let api = Endpoint::new();
    let subnet = subnet(&api);
    let create = format!("SubnetId={subnet}&Ipv4Prefix.1.Ipv4Prefix=10.0.1.32/28");
    let interface = api.fine("CreateNetworkInterface", &create).one("networkInterfaceId");
    let of = format!("NetworkInterfaceId={interface}");
    let assigned = api.fine("AssignPrivateIpAddresses", &format!("{of}&Ipv4PrefixCount=2"));
    assert_eq!(assigned.all("ipv4Prefix"), ["10.0.1.16/28", "10.0.1.48/28"]);
    let assigned = api.fine("AssignIpv6Addresses", &format!("{of}&Ipv6Prefix.1=2001:db8:0:1:9::/80"));
    assert!(assigned.one("assignedIpv6PrefixSet").contains(">2001:db8:0:1:9::/80<"));
    let shown = api.fine("DescribeNetworkInterfaces", "");
    assert_eq!(shown.all("ipv4Prefix"), ["10.0.1.32/28", "10.0.1.16/28", "10.0.1.48/28"]);
    assert_eq!(shown.one("ipv6Prefix"), "2001:db8:0:1:9::/80");

    for (action, form, code) in [
        (
            "AssignPrivateIpAddresses",
            "Ipv4PrefixCount=1&Ipv4Prefix.1=10.0.1.64/28",
            "InvalidParameterCombination",
        ),
        ("AssignPrivateIpAddresses", "Ipv4PrefixCount=20", "InsufficientCidrBlocks"),
        ("AssignPrivateIpAddresses", "Ipv4Prefix.1=10.0.1.16/28", "InvalidIPAddress.InUse"),
        ("AssignPrivateIpAddresses", "Ipv4Prefix.1=10.0.1.64/27", "InvalidParameterValue"),
        ("AssignPrivateIpAddresses", "PrivateIpAddress.1=10.0.1.20", "InvalidIPAddress.InUse"),
        ("AssignPrivateIpAddresses", "Ipv4PrefixCount=0", "MissingParameter"),
        ("UnassignPrivateIpAddresses", "Ipv4Prefix.1=10.0.1.64/28", "InvalidParameterValue"),
        ("UnassignPrivateIpAddresses", "", "MissingParameter"),
        ("UnassignIpv6Addresses", "", "MissingParameter"),
    ] {
        let refused = api.refused(action, &format!("{of}&{form}"));
        assert_eq!(refused, (400, code.to_owned()), "{action} {form}");
    }
    for both in ["SecondaryPrivateIpAddressCount=1&Ipv4PrefixCount=1", "Ipv6AddressCount=1&Ipv6PrefixCount=1"]
    {
        let refused = api.refused("CreateNetworkInterface", &format!("SubnetId={subnet}&{both}"));
        assert_eq!(refused, (400, "InvalidParameterCombination".to_owned()), "{both}");
    }
    api.fine("UnassignPrivateIpAddresses", &format!("{of}&Ipv4Prefix.1=10.0.1.16/28"));
    let gone = api.fine("UnassignIpv6Addresses", &format!("{of}&Ipv6Prefix.1=2001:db8:0:1:9::/80"));
    assert!(gone.one("unassignedIpv6PrefixSet").contains(">2001:db8:0:1:9::/80<"));
    assert_eq!(api.fine("DescribeNetworkInterfaces", "").all("ipv4Prefix"), ["10.0.1.32/28", "10.0.1.48/28"]);
}

#[test]
fn launches_have_prefixes() {
    let api = Endpoint::new();
    let subnet = subnet(&api);
    let launch = |instance_type: &str, count: u32| {
        format!(
            "ImageId={AMI}&MinCount=1&MaxCount={count}&InstanceType={instance_type}\
             &NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.SubnetId={subnet}\
             &NetworkInterface.1.Ipv4PrefixCount=5"
        )
    };
    let old = api.refused("RunInstances", &launch("t2.micro", 1));
    assert_eq!(old, (400, "InvalidParameterCombination".to_owned()));
    // Of fourteen blocks that are free, five and five: as many instances as there is room for.
    let launched = api.fine("RunInstances", &launch("m5.xlarge", 4));
    assert_eq!((launched.all("instanceId").len(), launched.all("ipv4Prefix").len()), (2, 10));
    let none = api.refused("RunInstances", &launch("m5.xlarge", 4));
    assert_eq!(none, (400, "InsufficientCidrBlocks".to_owned()));
}
