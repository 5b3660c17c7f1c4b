//! Rules that are changed in their places.

use crate::api::Endpoint;
use crate::network;

#[test]
fn a_rule_is_changed_and_stays_itself() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let create = format!("VpcId={vpc}&GroupName=web&GroupDescription=x");
    let group = api.fine("CreateSecurityGroup", &create).one("groupId");
    let rule = |port: u32| {
        let form = format!(
            "GroupId={group}&IpProtocol=tcp&FromPort={port}&ToPort={port}&CidrIp=192.0.2.0/24&\
             TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.Key=k&\
             TagSpecification.1.Tag.1.Value=v"
        );
        api.fine("AuthorizeSecurityGroupIngress", &form).one("securityGroupRuleId")
    };
    let (ssh, web) = (rule(22), rule(80));
    let modify = |rule: &str, rest: &str| {
        let rest = rest.replace(' ', "&SecurityGroupRule.1.SecurityGroupRule.");
        format!("GroupId={group}&SecurityGroupRule.1.SecurityGroupRuleId={rule}{rest}")
    };
    let wider = " IpProtocol=tcp FromPort=22 ToPort=23 CidrIpv4=198.51.100.9/24 Description=office";
    assert_eq!(api.fine("ModifySecurityGroupRules", &modify(&ssh, wider)).one("return"), "true");
    let shown = api.fine("DescribeSecurityGroupRules", &format!("SecurityGroupRuleId.1={ssh}"));
    assert_eq!((shown.one("cidrIpv4"), shown.one("toPort")), ("198.51.100.0/24".into(), "23".into()));
    assert_eq!((shown.one("description"), shown.one("value")), ("office".into(), "v".into()));
    assert_eq!(shown.one("isEgress"), "false");
    // The same again is no duplicate of itself.
    api.fine("ModifySecurityGroupRules", &modify(&ssh, wider));

    let before = api.region();
    for (rule, rest, code) in [
        (web.as_str(), wider, "InvalidPermission.Duplicate"),
        (&web, " IpProtocol=tcp FromPort=80 ToPort=80 CidrIpv6=2001:db8::/32", "InvalidParameterValue"),
        (&web, " IpProtocol=tcp FromPort=80 CidrIpv4=192.0.2.0/24", "InvalidParameterValue"),
        (&web, " IpProtocol=tcp FromPort=80 ToPort=80", "MissingParameter"),
        (&web, " IpProtocol=-1 CidrIpv4=192.0.2.0/24 CidrIpv6=2001:db8::/32", "InvalidParameterCombination"),
        (&web, " IpProtocol=six CidrIpv4=192.0.2.0/24", "InvalidParameterValue"),
        ("sgr-00000000", wider, "InvalidSecurityGroupRuleId.NotFound"),
        (&web, "", "MissingParameter"),
    ] {
        let refused = api.refused("ModifySecurityGroupRules", &modify(rule, rest));
        assert_eq!(refused, (400, code.into()), "{rest}");
    }
    let elsewhere = modify(&ssh, wider).replace(&group, "sg-00000000");
    assert_eq!(api.refused("ModifySecurityGroupRules", &elsewhere), (400, "InvalidGroup.NotFound".into()));
    assert_eq!(api.region(), before);
}
