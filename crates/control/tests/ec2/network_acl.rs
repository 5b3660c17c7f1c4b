//! Network ACLs: the default one, others, their rules and their subnets.

use crate::api::{Answer, Endpoint};
use crate::network;

/// Numbers, actions and CIDR blocks of the rules that are shown.
fn entries(shown: &Answer) -> Vec<(String, String, String)> {
    let rest = shown.all("ruleAction").into_iter().zip(shown.all("cidrBlock"));
    shown
        .all("ruleNumber")
        .into_iter()
        .zip(rest)
        .map(|(number, (action, cidr))| (number, action, cidr))
        .collect()
}

#[test]
fn a_subnet_gets_another_acl() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    let default = api.fine("DescribeNetworkAcls", "Filter.1.Name=default&Filter.1.Value.1=true");
    assert_eq!((default.one("vpcId"), default.one("subnetId")), (vpc.clone(), subnet.clone()));
    let all = "0.0.0.0/0".to_owned();
    let way =
        [("100".to_owned(), "allow".to_owned(), all.clone()), ("32767".into(), "deny".into(), all.clone())];
    assert_eq!(entries(&default), [way.clone(), way].concat());
    let (default_id, first) = (default.one("networkAclId"), default.one("networkAclAssociationId"));

    let form = format!(
        "VpcId={vpc}&TagSpecification.1.ResourceType=network-acl&TagSpecification.1.Tag.1.Key=Name&\
        TagSpecification.1.Tag.1.Value=strict"
    );
    let dry = api.refused("CreateNetworkAcl", &format!("{form}&DryRun=true"));
    assert_eq!(dry, (412, "DryRunOperation".into()));
    assert_eq!(api.region().network_acls().len(), 1);
    let made = api.fine("CreateNetworkAcl", &form);
    let acl = made.one("networkAclId");
    assert_eq!((made.one("default"), made.all("ruleNumber")), ("false".into(), vec!["32767".into(); 2]));
    let replace = format!("AssociationId={first}&NetworkAclId={acl}");
    let second = api.fine("ReplaceNetworkAclAssociation", &replace).one("newAssociationId");
    assert_eq!(
        api.refused("ReplaceNetworkAclAssociation", &replace),
        (400, "InvalidAssociationID.NotFound".into())
    );
    let shown = api.fine("DescribeNetworkAcls", "Filter.1.Name=tag:Name&Filter.1.Value.1=strict");
    assert_eq!((shown.one("networkAclAssociationId"), shown.one("subnetId")), (second.clone(), subnet));

    let delete = format!("NetworkAclId={acl}");
    assert_eq!(api.refused("DeleteNetworkAcl", &delete), (400, "DependencyViolation".into()));
    api.fine("ReplaceNetworkAclAssociation", &format!("AssociationId={second}&NetworkAclId={default_id}"));
    api.fine("DeleteNetworkAcl", &delete);
    assert_eq!(api.refused("DeleteNetworkAcl", &delete), (400, "InvalidNetworkAclID.NotFound".into()));
    let default = format!("NetworkAclId={default_id}");
    assert_eq!(api.refused("DeleteNetworkAcl", &default), (400, "InvalidParameterValue".into()));
}

#[test]
fn rules_come_change_and_go() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let acl = api.fine("CreateNetworkAcl", &format!("VpcId={vpc}")).one("networkAclId");
    let rule = |number: u32, rest: &str| format!("NetworkAclId={acl}&Egress=false&RuleNumber={number}{rest}");
    let ssh = "&Protocol=6&RuleAction=allow&CidrBlock=192.0.2.9/24&PortRange.From=22&PortRange.To=22";
    api.fine("CreateNetworkAclEntry", &rule(10, ssh));
    let again = api.refused("CreateNetworkAclEntry", &rule(10, ssh));
    assert_eq!(again, (400, "NetworkAclEntryAlreadyExists".into()));
    let shown = api.fine("DescribeNetworkAcls", &format!("NetworkAclId.1={acl}"));
    assert!(entries(&shown).contains(&("10".into(), "allow".into(), "192.0.2.0/24".into())));
    assert_eq!((shown.one("from"), shown.one("to")), ("22".into(), "22".into()));

    let ping = "&Protocol=icmp&RuleAction=deny&CidrBlock=0.0.0.0/0&Icmp.Type=8&Icmp.Code=-1";
    api.fine("ReplaceNetworkAclEntry", &rule(10, ping));
    let shown = api.fine("DescribeNetworkAcls", "Filter.1.Name=entry.icmp.type&Filter.1.Value.1=8");
    assert_eq!((shown.one("networkAclId"), shown.one("code")), (acl.clone(), "-1".into()));
    let six = "&Protocol=-1&RuleAction=allow&Ipv6CidrBlock=2001:db8::/32";
    api.fine("CreateNetworkAclEntry", &rule(20, six));
    assert_eq!(api.fine("DescribeNetworkAcls", "").one("ipv6CidrBlock"), "2001:db8::/32");

    let before = api.region();
    let missing = "&Protocol=6&RuleAction=allow&CidrBlock=192.0.2.0/24";
    for (action, form, code) in [
        ("CreateNetworkAclEntry", rule(11, missing), "InvalidParameterValue"),
        ("CreateNetworkAclEntry", rule(32_767, ssh), "InvalidParameterValue"),
        ("CreateNetworkAclEntry", rule(70_000, ssh), "InvalidParameterValue"),
        ("CreateNetworkAclEntry", rule(11, "&Protocol=6&RuleAction=allow"), "MissingParameter"),
        ("CreateNetworkAclEntry", rule(11, &format!("{ssh}{six}")), "InvalidParameterCombination"),
        ("CreateNetworkAclEntry", rule(11, &ssh.replace("allow", "count")), "InvalidParameterValue"),
        ("CreateNetworkAclEntry", rule(11, &ssh.replace("=6", "=six")), "InvalidParameterValue"),
        ("ReplaceNetworkAclEntry", rule(11, ssh), "InvalidNetworkAclEntry.NotFound"),
        ("DeleteNetworkAclEntry", rule(11, ""), "InvalidNetworkAclEntry.NotFound"),
        ("DescribeNetworkAcls", "NetworkAclId.1=acl-1".to_owned(), "InvalidNetworkAclId.Malformed"),
    ] {
        assert_eq!(api.refused(action, &form), (400, code.into()), "{form}");
    }
    assert_eq!(api.region(), before);
    api.fine("DeleteNetworkAclEntry", &rule(10, ""));
}
