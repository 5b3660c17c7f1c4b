//! Changing rules of security groups in their places.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{BadProtocol, Change, Peer, Permission, PrefixListId, SecurityGroupId, SecurityGroupRuleId};
use serde::Deserialize;

use crate::ec2::Call;
use crate::ec2::action::{Action, DONE, Done};
use crate::ec2::error::Error;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct ModifySecurityGroupRules {
    group_id: SecurityGroupId,
    security_group_rule: Vec<Update>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    security_group_rule_id: SecurityGroupRuleId,
    security_group_rule: NewRule,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewRule {
    ip_protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    cidr_ipv4: Option<Ipv4Net>,
    cidr_ipv6: Option<Ipv6Net>,
    prefix_list_id: Option<PrefixListId>,
    referenced_group_id: Option<SecurityGroupId>,
    description: Option<String>,
}

impl Action for ModifySecurityGroupRules {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let group = self.group_id;
        let change = |update: Update| {
            let (rule, permission) =
                (update.security_group_rule_id, update.security_group_rule.permission()?);
            Ok(Change::ModifySecurityGroupRule { group, rule, permission })
        };
        let changes = self.security_group_rule.into_iter().map(change).collect::<Result<Vec<_>, Error>>()?;
        call.commit(move |transaction| {
            for change in changes {
                transaction.apply(change)?;
            }
            Ok(DONE)
        })
    }
}

impl NewRule {
    fn permission(self) -> Result<Permission, Error> {
        let protocol = self.ip_protocol.parse().map_err(|error: BadProtocol| Error::InvalidValue {
            value: self.ip_protocol,
            name: "IpProtocol".to_owned(),
            reason: error.to_string(),
        })?;
        let peers = [
            self.cidr_ipv4.map(Peer::Cidr),
            self.cidr_ipv6.map(Peer::Cidr6),
            self.prefix_list_id.map(Peer::PrefixList),
            self.referenced_group_id.map(Peer::Group),
        ];
        let mut peers = peers.into_iter().flatten();
        let peer = peers.next().ok_or_else(|| Error::MissingParameter("CidrIpv4".to_owned()))?;
        if peers.next().is_some() {
            return Err(Error::Combination("Only one source or destination of the rule may be given."));
        }
        let ports = self.from_port.zip(self.to_port);
        Ok(Permission { protocol, ports, peer, description: self.description })
    }
}
