//! Managed prefix lists, and what refers to them.

use crate::api::Endpoint;
use crate::network;

#[test]
fn a_list_has_versions_and_users() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let create = "PrefixListName=offices&AddressFamily=IPv4&MaxEntries=3&Entry.1.Cidr=198.51.100.0/24&\
                  Entry.1.Description=one&Entry.2.Cidr=192.0.2.9/24";
    let made = api.fine("CreateManagedPrefixList", create);
    let id = made.one("prefixListId");
    assert_eq!((made.one("state"), made.one("version")), ("create-complete".into(), "1".into()));
    let list = format!("PrefixListId={id}");
    let modify =
        format!("{list}&CurrentVersion=1&AddEntry.1.Cidr=203.0.113.0/24&RemoveEntry.1.Cidr=192.0.2.0/24");
    assert_eq!(api.fine("ModifyManagedPrefixList", &modify).one("version"), "2");
    let stale = (400, "PrefixListVersionMismatch".to_owned());
    assert_eq!(api.refused("ModifyManagedPrefixList", &modify), stale);
    let entries = api.fine("GetManagedPrefixListEntries", &list);
    assert_eq!(entries.all("cidr"), ["198.51.100.0/24", "203.0.113.0/24"]);
    assert_eq!(entries.all("description"), ["one"]);
    let before = api.fine("GetManagedPrefixListEntries", &format!("{list}&TargetVersion=1"));
    assert_eq!(before.all("cidr"), ["192.0.2.0/24", "198.51.100.0/24"]);

    let create = format!("VpcId={vpc}&GroupName=web&GroupDescription=x");
    let group = api.fine("CreateSecurityGroup", &create).one("groupId");
    let allow = format!(
        "GroupId={group}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.PrefixListIds.1.PrefixListId={id}"
    );
    assert_eq!(api.fine("AuthorizeSecurityGroupIngress", &allow).one("prefixListId"), id);
    let table = api.fine("CreateRouteTable", &format!("VpcId={vpc}")).one("routeTableId");
    let igw = api.fine("CreateInternetGateway", "").one("internetGatewayId");
    api.fine("AttachInternetGateway", &format!("InternetGatewayId={igw}&VpcId={vpc}"));
    let route = format!("RouteTableId={table}&DestinationPrefixListId={id}");
    api.fine("CreateRoute", &format!("{route}&GatewayId={igw}"));
    let users = api.fine("GetManagedPrefixListAssociations", &list);
    assert_eq!(users.all("resourceId"), [table, group.clone()]);

    let busy = (400, "DependencyViolation".to_owned());
    assert_eq!(api.refused("DeleteManagedPrefixList", &list), busy);
    api.fine("DeleteRoute", &route);
    let groups = format!("Filter.1.Name=ip-permission.prefix-list-id&Filter.1.Value.1={id}");
    assert_eq!(api.fine("DescribeSecurityGroups", &groups).one("groupId"), group);
    api.fine("RevokeSecurityGroupIngress", &allow);
    let restore = format!("{list}&PreviousVersion=1&CurrentVersion=2");
    assert_eq!(api.fine("RestoreManagedPrefixListVersion", &restore).one("state"), "restore-complete");
    let services = api.fine("DescribePrefixLists", "");
    assert!(services.all("prefixListId").is_empty(), "AWS's own: there are none");
    assert_eq!(api.fine("DeleteManagedPrefixList", &list).one("state"), "delete-complete");
    let gone = api.refused("DescribeManagedPrefixLists", &format!("PrefixListId.1={id}"));
    assert_eq!(gone, (400, "InvalidPrefixListID.NotFound".into()));
}

#[test]
fn rules_about_ipv6() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let create = format!("VpcId={vpc}&GroupName=web&GroupDescription=x");
    let group = api.fine("CreateSecurityGroup", &create).one("groupId");
    let ping = format!(
        "GroupId={group}&IpPermissions.1.IpProtocol=icmpv6&IpPermissions.1.FromPort=128&\
         IpPermissions.1.ToPort=-1&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=2001:db8:1::9/48"
    );
    let rule = api.fine("AuthorizeSecurityGroupIngress", &ping);
    assert_eq!((rule.one("ipProtocol"), rule.one("cidrIpv6")), ("icmpv6".into(), "2001:db8:1::/48".into()));
    let shown = api.fine("DescribeSecurityGroups", &format!("GroupId.1={group}"));
    assert_eq!(shown.one("cidrIpv6"), "2001:db8:1::/48");
    let again = (400, "InvalidPermission.Duplicate".to_owned());
    assert_eq!(api.refused("AuthorizeSecurityGroupIngress", &ping), again);
    assert_eq!(api.fine("RevokeSecurityGroupIngress", &ping).one("cidrIpv6"), "2001:db8:1::/48");
}
