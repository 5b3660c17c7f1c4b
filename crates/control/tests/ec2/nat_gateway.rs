//! NAT gateways: their life, their addresses, and what belongs to them alone.

use model::{Change, Fault, NatGatewayState};

use crate::api::Endpoint;
use crate::network;

/// A VPC with a subnet and an internet gateway.
fn public_network(api: &Endpoint) -> (String, String) {
    let (vpc, subnet) = network(api);
    let igw = api.fine("CreateInternetGateway", "").one("internetGatewayId");
    api.fine("AttachInternetGateway", &format!("InternetGatewayId={igw}&VpcId={vpc}"));
    (vpc, subnet)
}

fn allocate(api: &Endpoint) -> String {
    api.fine("AllocateAddress", "Domain=vpc").one("allocationId")
}

/// What the daemon does once the fabric knows.
fn settle(api: &Endpoint) {
    for key in api.store.regions() {
        for gateway in api.store.region(&key).nat_gateways().values() {
            let state = match gateway.state {
                NatGatewayState::Pending => NatGatewayState::Available,
                NatGatewayState::Deleting => NatGatewayState::Deleted,
                _ => continue,
            };
            make(api, Change::SetNatGatewayState { gateway: gateway.id, state });
        }
    }
}

fn make(api: &Endpoint, change: Change) {
    let key = api.store.regions().remove(0);
    api.store.commit::<_, Fault>(&key, move |transaction| transaction.apply(change)).unwrap();
}

fn state(api: &Endpoint, id: &str) -> String {
    api.fine("DescribeNatGateways", &format!("NatGatewayId.1={id}")).one("state")
}

#[test]
fn a_gateway_comes_and_goes() {
    let api = Endpoint::new();
    let (vpc, subnet) = public_network(&api);
    let address = allocate(&api);
    let create = format!("SubnetId={subnet}&AllocationId={address}&ClientToken=one");
    let dry = api.refused("CreateNatGateway", &format!("{create}&DryRun=true"));
    assert_eq!((dry, api.region().nat_gateways().len()), ((412, "DryRunOperation".into()), 0));
    let automatic = format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=true");
    api.fine("ModifySubnetAttribute", &automatic);
    let made = api.fine("CreateNatGateway", &create);
    let id = made.one("natGatewayId");
    assert_eq!((made.one("state"), made.one("clientToken")), ("pending".into(), "one".into()));
    settle(&api);
    let again = api.fine("CreateNatGateway", &create);
    assert_eq!((again.one("natGatewayId"), again.one("state")), (id.clone(), "available".into()));
    assert_eq!(api.region().nat_gateways().len(), 1);

    let interface = made.one("networkInterfaceId");
    let assign = format!("NetworkInterfaceId={interface}&Ipv6AddressCount=1");
    assert_eq!(api.refused("AssignIpv6Addresses", &assign), (400, "AuthFailure".into()));
    let elastic = api.fine("DescribeAddresses", "").one("publicIp");
    let own = api.fine("DescribeNetworkInterfaces", &format!("NetworkInterfaceId.1={interface}"));
    assert!(own.all("publicIp").iter().all(|address| *address == elastic), "none but its own");

    let shown = api.fine("DescribeNatGateways", &format!("Filter.1.Name=vpc-id&Filter.1.Value.1={vpc}"));
    for (name, value) in [
        ("subnetId", subnet.as_str()),
        ("connectivityType", "public"),
        ("allocationId", &address),
        ("privateIp", "10.0.1.4"),
        ("publicIp", "203.0.113.1"),
        ("isPrimary", "true"),
        ("status", "succeeded"),
    ] {
        assert_eq!(shown.one(name), value, "{name}");
    }
    let none = api.fine("DescribeNatGateways", "Filter.1.Name=state&Filter.1.Value.1=pending");
    assert!(none.all("natGatewayId").is_empty());

    let interface = shown.one("networkInterfaceId");
    let shown =
        api.fine("DescribeNetworkInterfaces", "Filter.1.Name=interface-type&Filter.1.Value.1=nat_gateway");
    for (name, value) in [
        ("networkInterfaceId", interface.as_str()),
        ("requesterManaged", "true"),
        ("status", "in-use"),
        ("sourceDestCheck", "false"),
        ("description", &format!("Interface for NAT Gateway {id}")),
    ] {
        assert_eq!(shown.one(name), value, "{name}");
    }
    let association = shown.one("associationId");
    let before = api.region();
    for (action, form, code) in [
        ("DeleteNetworkInterface", format!("NetworkInterfaceId={interface}"), "InvalidParameterValue"),
        ("DisassociateAddress", format!("AssociationId={association}"), "AuthFailure"),
        ("ReleaseAddress", format!("AllocationId={address}"), "InvalidIPAddress.InUse"),
        (
            "ModifyNetworkInterfaceAttribute",
            format!("NetworkInterfaceId={interface}&SourceDestCheck.Value=true"),
            "AuthFailure",
        ),
        (
            "AssignPrivateIpAddresses",
            format!("NetworkInterfaceId={interface}&SecondaryPrivateIpAddressCount=1"),
            "AuthFailure",
        ),
        ("DeleteSubnet", format!("SubnetId={subnet}"), "DependencyViolation"),
    ] {
        assert_eq!(api.refused(action, &form), (400, code.into()), "{action}");
    }
    assert_eq!(api.region(), before);

    assert_eq!(api.fine("DeleteNatGateway", &format!("NatGatewayId={id}")).one("natGatewayId"), id);
    assert_eq!(state(&api, &id), "deleting");
    settle(&api);
    assert_eq!(state(&api, &id), "deleted");
    assert!(!api.fine("DescribeNatGateways", "").one("deleteTime").is_empty());
    api.fine("ReleaseAddress", &format!("AllocationId={address}"));
    api.fine("DeleteSubnet", &format!("SubnetId={subnet}"));
    make(&api, Change::ForgetNatGateway { gateway: id.parse().unwrap() });
    let gone = api.refused("DescribeNatGateways", &format!("NatGatewayId.1={id}"));
    assert_eq!(gone, (400, "NatGatewayNotFound".into()));
}

#[test]
fn what_is_found_late_is_shown() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    let address = allocate(&api);
    let failed = api.fine("CreateNatGateway", &format!("SubnetId={subnet}&AllocationId={address}"));
    assert_eq!(
        (failed.one("state"), failed.one("failureCode")),
        ("failed".into(), "Gateway.NotAttached".into())
    );
    assert_eq!(failed.one("failureMessage"), format!("Network {vpc} has no Internet gateway attached"));

    let before = api.region();
    for (form, code) in [
        (format!("SubnetId={subnet}"), "MissingParameter"),
        (format!("SubnetId={subnet}&SecondaryAllocationId.1={address}"), "MissingParameter"),
        (
            format!("SubnetId={subnet}&AllocationId={address}&AvailabilityMode=regional"),
            "UnsupportedOperation",
        ),
        (format!("VpcId={vpc}&SubnetId={subnet}&AllocationId={address}"), "UnsupportedOperation"),
        (
            format!("SubnetId={subnet}&AllocationId={address}&ConnectivityType=private"),
            "InvalidParameterCombination",
        ),
        (format!("SubnetId=subnet-00000000&AllocationId={address}"), "InvalidSubnetID.NotFound"),
        (format!("SubnetId={subnet}&AllocationId=eipalloc-00000000"), "InvalidAllocationID.NotFound"),
        (
            format!("SubnetId={subnet}&AllocationId={address}&PrivateIpAddress=10.0.2.9"),
            "InvalidParameterValue",
        ),
        (
            format!(
                "SubnetId={subnet}&AllocationId={address}&TagSpecification.1.ResourceType=natgateway&\
                TagSpecification.1.Tag.1.Key=ringwall:nat-profile&TagSpecification.1.Tag.1.Value=cone"
            ),
            "InvalidParameterValue",
        ),
    ] {
        assert_eq!(api.refused("CreateNatGateway", &form), (400, code.into()), "{form}");
    }
    for id in ["nat-00000000", "nat-x"] {
        let code = if id == "nat-x" { "NatGatewayMalformed" } else { "NatGatewayNotFound" };
        assert_eq!(api.refused("DeleteNatGateway", &format!("NatGatewayId={id}")), (400, code.into()));
    }
    assert_eq!(api.region(), before);
}

#[test]
fn public_addresses_drain() {
    let api = Endpoint::new();
    let (_, subnet) = public_network(&api);
    let (first, second) = (allocate(&api), allocate(&api));
    let id =
        api.fine("CreateNatGateway", &format!("SubnetId={subnet}&AllocationId={first}")).one("natGatewayId");
    settle(&api);
    let associate = format!("NatGatewayId={id}&AllocationId.1={second}&PrivateIpAddress.1=10.0.1.77");
    let shown = api.fine("AssociateNatGatewayAddress", &associate);
    assert_eq!(shown.all("privateIp"), ["10.0.1.4", "10.0.1.77"]);
    let associations = shown.all("associationId");
    let disassociate =
        |at: usize, more: &str| format!("NatGatewayId={id}&AssociationId.1={}{more}", associations[at]);
    for wrong in [disassociate(0, ""), disassociate(1, "&MaxDrainDurationSeconds=4001")] {
        let refused = api.refused("DisassociateNatGatewayAddress", &wrong);
        assert_eq!(refused, (400, "InvalidParameterValue".into()));
    }
    let shown = api.fine("DisassociateNatGatewayAddress", &disassociate(1, ""));
    assert_eq!(shown.all("status"), ["succeeded", "disassociating"]);
    let due = api.region().due(0).remove(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 340..=now + 350).contains(&due.at), "350 seconds from when it was asked");
    make(&api, due.change);
    assert_eq!(api.fine("DescribeNatGateways", "").all("privateIp"), ["10.0.1.4"]);
    api.fine("ReleaseAddress", &format!("AllocationId={second}"));
}

#[test]
fn private_gateways_have_private_addresses() {
    let api = Endpoint::new();
    let (_, subnet) = network(&api);
    let create = format!("SubnetId={subnet}&ConnectivityType=private&SecondaryPrivateIpAddressCount=1");
    let made = api.fine("CreateNatGateway", &create);
    let id = made.one("natGatewayId");
    assert_eq!(made.all("privateIp"), ["10.0.1.4", "10.0.1.5"]);
    assert!(made.all("publicIp").is_empty());
    settle(&api);
    let shown =
        api.fine("AssignPrivateNatGatewayAddress", &format!("NatGatewayId={id}&PrivateIpAddressCount=2"));
    assert_eq!(shown.all("privateIp").len(), 4);
    let unassign = format!("NatGatewayId={id}&PrivateIpAddress.1=10.0.1.6&MaxDrainDurationSeconds=1");
    let shown = api.fine("UnassignPrivateNatGatewayAddress", &unassign);
    assert_eq!(shown.all("status"), ["succeeded", "succeeded", "unassigning", "succeeded"]);
    let address = allocate(&api);
    let associate = format!("NatGatewayId={id}&AllocationId.1={address}");
    let refused = api.refused("AssociateNatGatewayAddress", &associate);
    assert_eq!(refused, (400, "UnsupportedOperation".into()));
}

#[test]
fn a_route_shows_its_gateway() {
    let api = Endpoint::new();
    let (_, subnet) = public_network(&api);
    let address = allocate(&api);
    let id = api
        .fine("CreateNatGateway", &format!("SubnetId={subnet}&AllocationId={address}"))
        .one("natGatewayId");
    let table = api.fine("DescribeRouteTables", "").one("routeTableId");
    let route = |more: &str| format!("RouteTableId={table}&DestinationCidrBlock={more}");
    let gone = "192.0.2.0/24&NatGatewayId=nat-00000000";
    assert_eq!(api.refused("CreateRoute", &route(gone)), (400, "InvalidNatGatewayID.NotFound".into()));
    let both = format!("192.0.2.0/24&NatGatewayId={id}&VpcPeeringConnectionId=pcx-00000000");
    assert_eq!(api.refused("CreateRoute", &route(&both)), (400, "InvalidParameterCombination".into()));
    api.fine("CreateRoute", &route(&format!("0.0.0.0/0&NatGatewayId={id}")));
    // Between the subnets of a VPC too, and by the parameter for gateways of other kinds.
    let inside = route("10.0.1.0/24");
    api.fine("CreateRoute", &format!("{inside}&GatewayId={id}"));
    api.fine("DeleteRoute", &inside);
    let shown = api.fine("DescribeRouteTables", "");
    assert_eq!((shown.one("natGatewayId"), shown.all("state")[0].as_str()), (id.clone(), "active"));
    api.fine("DeleteNatGateway", &format!("NatGatewayId={id}"));
    assert_eq!(api.fine("DescribeRouteTables", "").all("state")[0], "blackhole");
}
