//! Public addresses that instances get without an Elastic IP address.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::InstanceState;

use crate::api::{Answer, Endpoint};
use crate::{AMI, launch, network, settle};

/// A VPC with an internet gateway, and a subnet whose instances get public addresses.
fn public_network(api: &Endpoint) -> String {
    let (vpc, subnet) = network(api);
    let gateway = api.fine("CreateInternetGateway", "").one("internetGatewayId");
    api.fine("AttachInternetGateway", &format!("InternetGatewayId={gateway}&VpcId={vpc}"));
    api.fine("ModifySubnetAttribute", &format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=true"));
    subnet
}

fn described(api: &Endpoint, instance: &str) -> Answer {
    api.fine("DescribeInstances", &format!("InstanceId.1={instance}"))
}

#[test]
fn an_instance_has_it_as_long_as_it_runs() {
    let api = Endpoint::new();
    let subnet = public_network(&api);
    assert_eq!(api.fine("DescribeSubnets", "").one("mapPublicIpOnLaunch"), "true");
    let instance = launch(&api, &subnet);
    let shown = described(&api, &instance);
    assert_eq!(shown.one("ipAddress"), "203.0.113.1");
    assert_eq!((shown.one("publicIp"), shown.one("ipOwnerId")), ("203.0.113.1".into(), "amazon".into()));
    assert!(shown.all("allocationId").is_empty() && shown.all("associationId").is_empty());
    let interface = api
        .fine("DescribeNetworkInterfaces", "Filter.1.Name=association.ip-owner-id&Filter.1.Value.1=amazon");
    assert_eq!(interface.one("publicIp"), "203.0.113.1");
    assert!(api.fine("DescribeAddresses", "").all("publicIp").is_empty());
    assert_eq!(api.refused("AllocateAddress", "Address=203.0.113.1"), (400, "InvalidIPAddress.InUse".into()));

    settle(&api, InstanceState::Running);
    let id = format!("InstanceId.1={instance}");
    api.fine("StopInstances", &id);
    assert_eq!(described(&api, &instance).one("ipAddress"), "203.0.113.1");
    settle(&api, InstanceState::Stopped);
    assert!(described(&api, &instance).all("ipAddress").is_empty());
    assert_eq!(api.fine("AllocateAddress", "").one("publicIp"), "203.0.113.1");
    api.fine("StartInstances", &id);
    assert_eq!(described(&api, &instance).one("ipAddress"), "203.0.113.2");
    settle(&api, InstanceState::Running);
    api.fine("TerminateInstances", &id);
    settle(&api, InstanceState::Terminated);
    assert_eq!(api.fine("AllocateAddress", "").one("publicIp"), "203.0.113.2");
}

#[test]
fn an_elastic_ip_takes_its_place() {
    let api = Endpoint::new();
    let subnet = public_network(&api);
    let (instance, other) = (launch(&api, &subnet), launch(&api, &subnet));
    settle(&api, InstanceState::Running);
    let address = api.fine("AllocateAddress", "");
    let (allocation, elastic) = (address.one("allocationId"), address.one("publicIp"));
    assert_eq!(elastic, "203.0.113.3");
    let associate = |instance: &str| format!("AllocationId={allocation}&InstanceId={instance}");
    api.fine("AssociateAddress", &associate(&instance));
    let shown = described(&api, &instance);
    assert_eq!(shown.one("ipAddress"), elastic);
    // Found by what EC2 does not show of an instance.
    let filter = format!("Name=network-interface.association.allocation-id&Filter.1.Value.1={allocation}");
    let found = api.fine("DescribeInstances", &format!("Filter.1.{filter}"));
    assert_eq!((found.one("instanceId"), found.all("allocationId").len()), (instance.clone(), 0));
    assert_eq!(shown.one("ipOwnerId"), "000000000000");

    // Moved away, it leaves a new address behind.
    let association = api.fine("AssociateAddress", &associate(&other)).one("associationId");
    assert_eq!(described(&api, &instance).one("ipAddress"), "203.0.113.1");
    assert_eq!(described(&api, &other).one("ipAddress"), elastic);
    api.fine("DisassociateAddress", &format!("AssociationId={association}"));
    assert_eq!(described(&api, &other).one("ipAddress"), "203.0.113.2");

    // Where there is none, the instance goes without.
    let association = api.fine("AssociateAddress", &associate(&other)).one("associationId");
    for _ in 0..4 {
        api.fine("AllocateAddress", "");
    }
    api.fine("DisassociateAddress", &format!("AssociationId={association}"));
    assert!(described(&api, &other).all("ipAddress").is_empty());
}

#[test]
fn what_a_launch_says_counts_more_than_the_subnet() {
    let api = Endpoint::new();
    let subnet = public_network(&api);
    let form = |interfaces: &str| {
        let first = format!("NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.SubnetId={subnet}");
        format!("ImageId={AMI}&MinCount=1&MaxCount=1&{first}&{interfaces}")
    };
    let second = format!("NetworkInterface.2.DeviceIndex=1&NetworkInterface.2.SubnetId={subnet}");
    let says = |value: bool| format!("NetworkInterface.1.AssociatePublicIpAddress={value}");
    assert!(api.fine("RunInstances", &form(&says(false))).all("ipAddress").is_empty());
    assert!(api.fine("RunInstances", &form(&second)).all("ipAddress").is_empty());
    for value in [true, false] {
        let refused = api.refused("RunInstances", &form(&format!("{}&{second}", says(value))));
        assert_eq!(refused, (400, "InvalidParameterCombination".into()));
    }
    let existing = api.fine("CreateNetworkInterface", &format!("SubnetId={subnet}"));
    let existing = existing.one("networkInterfaceId");
    let existing =
        format!("NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.NetworkInterfaceId={existing}");
    let refused = api
        .refused("RunInstances", &format!("ImageId={AMI}&MinCount=1&MaxCount=1&{existing}&{}", says(true)));
    assert_eq!(refused, (400, "InvalidParameterCombination".into()));

    api.fine("ModifySubnetAttribute", &format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=false"));
    assert!(described(&api, &launch(&api, &subnet)).all("ipAddress").is_empty());
    assert_eq!(api.fine("RunInstances", &form(&says(true))).one("ipAddress"), "203.0.113.1");
}

#[test]
fn as_many_as_the_pool_has() {
    let api = Endpoint::new();
    let subnet = public_network(&api);
    let form = |fewest: u32| format!("ImageId={AMI}&MinCount={fewest}&MaxCount=20&SubnetId={subnet}");
    let before = api.region();
    assert_eq!(api.refused("RunInstances", &form(7)), (400, "InsufficientAddressCapacity".into()));
    assert_eq!(api.region(), before);
    assert_eq!(api.fine("RunInstances", &form(2)).all("ipAddress").len(), 6);
    assert_eq!(api.refused("RunInstances", &form(1)), (400, "InsufficientAddressCapacity".into()));

    settle(&api, InstanceState::Running);
    let one = api.fine("DescribeInstances", "").one("instanceId");
    api.fine("StopInstances", &format!("InstanceId.1={one}"));
    settle_stopped(&api, &one);
    api.fine("AllocateAddress", "");
    let refused = api.refused("StartInstances", &format!("InstanceId.1={one}"));
    assert_eq!(refused, (400, "InsufficientAddressCapacity".into()));
    assert_eq!(described(&api, &one).one("name"), "stopped");
}

fn settle_stopped(api: &Endpoint, instance: &str) {
    let key = api.region().key().clone();
    let state = InstanceState::Stopped;
    let set = model::Change::SetInstanceState { instance: instance.parse().unwrap(), state };
    api.store.commit::<_, model::Fault>(&key, move |transaction| transaction.apply(set)).unwrap();
}

#[test]
fn no_two_regions_get_the_same_at_once() {
    for _ in 0..4 {
        let api = Arc::new(Endpoint::new());
        let asking: Vec<_> = (0..8)
            .map(|n| {
                let api = Arc::clone(&api);
                let credential = format!("Credential=k/20261123/zz-{}-1/ec2/aws4_request", n % 4);
                std::thread::spawn(move || {
                    let signed = format!("AWS4-HMAC-SHA256 {credential}, Signature=x");
                    api.ask("AllocateAddress", "", &[("Authorization", &signed)]).all("publicIp")
                })
            })
            .collect();
        let given: Vec<_> = asking.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let unlike: BTreeSet<_> = given.iter().collect();
        assert_eq!((given.len(), unlike.len()), (6, 6), "{given:?}");
    }
}
