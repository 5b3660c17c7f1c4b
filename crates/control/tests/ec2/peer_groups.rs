//! Rules about groups of a peer VPC: how they are made and shown, and what is left of them.

use crate::api::Endpoint;
use crate::network;

/// Two VPCs that are joined, each with a group.
struct Joined {
    api: Endpoint,
    vpc: String,
    peer: String,
    here: String,
    there: String,
    peering: String,
}

impl Joined {
    fn new() -> Joined {
        let api = Endpoint::new();
        let (vpc, _) = network(&api);
        let peer = api.fine("CreateVpc", "CidrBlock=10.1.0.0/16").one("vpcId");
        let group = |vpc: &str| {
            let create = format!("VpcId={vpc}&GroupName=web&GroupDescription=x");
            api.fine("CreateSecurityGroup", &create).one("groupId")
        };
        let (here, there) = (group(&vpc), group(&peer));
        let join = format!("VpcId={vpc}&PeerVpcId={peer}");
        let peering = api.fine("CreateVpcPeeringConnection", &join).one("vpcPeeringConnectionId");
        let allow = allow(&here, &there);
        let early = api.refused("AuthorizeSecurityGroupIngress", &allow);
        assert_eq!(early, (400, "InvalidGroup.NotFound".into()), "nobody has accepted yet");
        api.fine("AcceptVpcPeeringConnection", &format!("VpcPeeringConnectionId={peering}"));
        Joined { api, vpc, peer, here, there, peering }
    }

    fn part(&self) {
        self.api.fine("DeleteVpcPeeringConnection", &format!("VpcPeeringConnectionId={}", self.peering));
    }

    /// What EC2 says of the one peer group that an answer has.
    fn assert_shown(&self, action: &str, form: &str, status: &str) {
        let shown = self.api.fine(action, form);
        assert_eq!(shown.one("vpcPeeringConnectionId"), self.peering, "{action}");
        assert_eq!(shown.one("peeringStatus"), status, "{action}");
        assert_eq!(shown.one("userId"), "000000000000", "{action}");
        for id in [&self.peer, &self.there] {
            let members = [shown.all("vpcId"), shown.all("groupId")].concat();
            assert!(members.contains(id), "{action}: {members:?}");
        }
    }
}

fn allow(group: &str, peer: &str) -> String {
    format!("GroupId={group}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.Groups.1.GroupId={peer}")
}

#[test]
fn a_group_of_a_peer_vpc_is_shown_with_its_connection() {
    let net = Joined::new();
    let allow = format!("{}&IpPermissions.1.Groups.1.UserId=000000000000", allow(&net.here, &net.there));
    let made = net.api.fine("AuthorizeSecurityGroupIngress", &allow);
    assert_eq!(made.one("peeringStatus"), "active");
    let rule = made.one("securityGroupRuleId");
    let groups = format!("GroupId.1={}", net.here);
    net.assert_shown("DescribeSecurityGroups", &groups, "active");
    net.assert_shown("DescribeSecurityGroupRules", &format!("SecurityGroupRuleId.1={rule}"), "active");
    let duplicate = net.api.refused("AuthorizeSecurityGroupIngress", &allow);
    assert_eq!(duplicate, (400, "InvalidPermission.Duplicate".into()));

    let references = |group: &str| {
        let shown = net.api.fine("DescribeSecurityGroupReferences", &format!("GroupId.1={group}"));
        (shown.all("groupId"), shown.all("referencingVpcId"), shown.all("vpcPeeringConnectionId"))
    };
    // Two rules of one VPC are one reference.
    net.api.fine("AuthorizeSecurityGroupEgress", &self::allow(&net.here, &net.there));
    let expected = (vec![net.there.clone()], vec![net.vpc.clone()], vec![net.peering.clone()]);
    assert_eq!(references(&net.there), expected);
    assert_eq!(references(&net.here), (vec![], vec![], vec![]));

    let modify = |peer: &str| {
        format!(
            "GroupId={}&SecurityGroupRule.1.SecurityGroupRuleId={rule}&\
             SecurityGroupRule.1.SecurityGroupRule.IpProtocol=-1&\
             SecurityGroupRule.1.SecurityGroupRule.ReferencedGroupId={peer}",
            net.here
        )
    };
    net.api.fine("ModifySecurityGroupRules", &modify(&net.here));
    net.api.fine("ModifySecurityGroupRules", &modify(&net.there));
    net.assert_shown("DescribeSecurityGroupRules", &format!("SecurityGroupRuleId.1={rule}"), "active");
    net.part();
    let late = net.api.refused("ModifySecurityGroupRules", &modify(&net.there));
    assert_eq!(late, (400, "InvalidGroup.NotFound".into()));
}

/// Clients give back what they were shown.
#[test]
fn what_a_request_says_of_the_group_must_be_so() {
    let net = Joined::new();
    let allow = |rest: &str| {
        let rest = rest.replace(' ', "&IpPermissions.1.Groups.1.");
        format!("{}{rest}", self::allow(&net.here, &net.there))
    };
    let so = format!(" VpcId={} VpcPeeringConnectionId={} PeeringStatus=active", net.peer, net.peering);
    let before = net.api.region();
    for wrong in [
        format!(" VpcId={}", net.vpc),
        " VpcPeeringConnectionId=pcx-00000000".to_owned(),
        " PeeringStatus=deleted".to_owned(),
        " UserId=111111111111".to_owned(),
    ] {
        let refused = net.api.refused("AuthorizeSecurityGroupIngress", &allow(&wrong));
        assert_eq!(refused, (400, "InvalidParameterValue".into()), "{wrong}");
    }
    assert_eq!(net.api.region(), before);
    net.api.fine("AuthorizeSecurityGroupIngress", &allow(&so));
    net.api.fine("UpdateSecurityGroupRuleDescriptionsIngress", &allow(&format!("{so} Description=all")));
    net.part();
    assert_eq!(
        net.api.refused("RevokeSecurityGroupIngress", &allow(&so)),
        (400, "InvalidParameterValue".into())
    );
    let revoked = net.api.fine("RevokeSecurityGroupIngress", &allow(&so.replace("active", "deleted")));
    assert_eq!(revoked.one("referencedGroupId"), net.there);
}

#[test]
fn a_rule_is_left_over_from_a_connection() {
    let net = Joined::new();
    net.api.fine("AuthorizeSecurityGroupIngress", &allow(&net.here, &net.there));
    let stale = format!("VpcId={}", net.vpc);
    assert!(net.api.fine("DescribeStaleSecurityGroups", &stale).all("groupId").is_empty());
    net.part();
    let shown = net.api.fine("DescribeStaleSecurityGroups", &stale);
    assert_eq!((shown.one("groupName"), shown.one("ipProtocol")), ("web".into(), "-1".into()));
    assert_eq!(shown.all("groupId"), [net.here.clone(), net.there.clone()]);
    net.assert_shown("DescribeStaleSecurityGroups", &stale, "deleted");
    net.assert_shown("DescribeSecurityGroups", &format!("GroupId.1={}", net.here), "deleted");
    let references = net.api.fine("DescribeSecurityGroupReferences", &format!("GroupId.1={}", net.there));
    assert!(references.all("groupId").is_empty());
    net.api.fine("RevokeSecurityGroupIngress", &allow(&net.here, &net.there));
    assert!(net.api.fine("DescribeStaleSecurityGroups", &stale).all("groupId").is_empty());
}

#[test]
fn a_rule_is_left_over_from_a_group() {
    let net = Joined::new();
    net.api.fine("AuthorizeSecurityGroupEgress", &allow(&net.here, &net.there));
    net.api.fine("DeleteSecurityGroup", &format!("GroupId={}", net.there));
    net.assert_shown("DescribeStaleSecurityGroups", &format!("VpcId={}", net.vpc), "active");
    for (action, form, code) in [
        ("DescribeSecurityGroupReferences", "GroupId.1=sg-00000000", "InvalidGroup.NotFound"),
        ("DescribeSecurityGroupReferences", "", "MissingParameter"),
        ("DescribeStaleSecurityGroups", "VpcId=vpc-00000000", "InvalidVpcID.NotFound"),
        ("DescribeNetworkInterfacePermissions", "", "UnsupportedOperation"),
        ("DescribeVpcClassicLink", "", "UnsupportedOperation"),
    ] {
        assert_eq!(net.api.refused(action, form), (400, code.into()), "{action} {form}");
    }
}
