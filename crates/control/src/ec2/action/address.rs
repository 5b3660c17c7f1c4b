//! Elastic IP addresses.

use std::net::Ipv4Addr;

use model::{
    Address, AddressAssociation, AllocationId, Applied, AssociationId, Change, Fault, InstanceId,
    InterfaceId, Region, SubnetId,
};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::pool::Pool;
use crate::ec2::query::Limit;
use crate::store::{ClientToken, Transaction};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AllocateAddress {
    address: Option<Ipv4Addr>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AllocateAddressAnswer {
    public_ip: Ipv4Addr,
    allocation_id: AllocationId,
    domain: &'static str,
    public_ipv4_pool: &'static str,
    network_border_group: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAddresses {
    #[serde(default)]
    allocation_id: Vec<AllocationId>,
    #[serde(default)]
    public_ip: Vec<Ipv4Addr>,
}

/// The names that reverse DNS has for Elastic IP addresses: nobody can give them one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeAddressesAttribute {
    #[serde(default)]
    allocation_id: Vec<AllocationId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAttribute {
    public_ip: Ipv4Addr,
    allocation_id: AllocationId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReleaseAddress {
    allocation_id: AllocationId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociateAddress {
    allocation_id: AllocationId,
    instance_id: Option<InstanceId>,
    network_interface_id: Option<InterfaceId>,
    private_ip_address: Option<Ipv4Addr>,
    allow_reassociation: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AssociateAddressAnswer {
    r#return: bool,
    association_id: AssociationId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DisassociateAddress {
    association_id: AssociationId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAddress {
    public_ip: Ipv4Addr,
    allocation_id: AllocationId,
    domain: &'static str,
    association_id: Option<AssociationId>,
    network_interface_id: Option<InterfaceId>,
    network_interface_owner_id: Option<String>,
    private_ip_address: Option<Ipv4Addr>,
    instance_id: Option<InstanceId>,
    subnet_id: Option<SubnetId>,
    public_ipv4_pool: &'static str,
    network_border_group: String,
    tag_set: Vec<Tag>,
}

const FILTERS: &Names = &[
    ("allocation-id", "allocationId"),
    ("association-id", "associationId"),
    ("domain", "domain"),
    ("instance-id", "instanceId"),
    ("network-border-group", "networkBorderGroup"),
    ("network-interface-id", "networkInterfaceId"),
    ("network-interface-owner-id", "networkInterfaceOwnerId"),
    ("private-ip-address", "privateIpAddress"),
    ("public-ip", "publicIp"),
    ("tag-key", "tagSet.key"),
];

const DOMAIN: &str = "vpc";
const POOL: &str = "amazon";

impl Action for AllocateAddress {
    const LIMITS: &'static [Limit] = &[
        ("CustomerOwnedIpv4Pool", &[]),
        ("Domain", &[DOMAIN]),
        ("IpamPoolId", &[]),
        ("NetworkBorderGroup", &[]),
        ("PublicIpv4Pool", &[POOL]),
    ];
    type Answer = AllocateAddressAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<AllocateAddressAnswer, Error> {
        let tags = tags_for("elastic-ip", self.tag_specification)?;
        let pool = call.pool();
        let network_border_group = call.key.region.0.clone();
        call.commit(move |transaction| {
            let public_ip = pool.find(transaction, self.address)?;
            match transaction.apply(Change::AllocateAddress { public_ip, tags })? {
                Applied::Address(allocation_id) => Ok(AllocateAddressAnswer {
                    public_ip,
                    allocation_id,
                    domain: DOMAIN,
                    public_ipv4_pool: POOL,
                    network_border_group,
                }),
                _ => Err(Error::Unexpected),
            }
        })
    }
}

impl Describe for DescribeAddresses {
    const SET: &'static str = "addressesSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownAddress;

    fn by_id(&self) -> bool {
        !self.allocation_id.is_empty() || !self.public_ip.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownAddress)>, Error> {
        let region = call.region();
        let mut ids = self.allocation_id.clone();
        for &public_ip in &self.public_ip {
            let mut all = region.addresses().values();
            let address = all.find(|address| address.public_ip == public_ip);
            let address = address.ok_or_else(|| Error::NotFound {
                code: "InvalidAddress.NotFound",
                kind: "address",
                id: public_ip.to_string(),
            })?;
            ids.push(address.allocation);
        }
        let addresses = pick(&ids, region.addresses(), Fault::AllocationNotFound)?;
        let shown = |address: &Address| (address.allocation.to_string(), shown(&region, address));
        Ok(addresses.into_iter().map(shown).collect())
    }
}

impl Describe for DescribeAddressesAttribute {
    const LIMITS: &'static [Limit] = &[("Attribute", &["domain-name"])];
    const SET: &'static str = "addressSet";
    const FILTERS: &'static Names = &[];
    type Shown = ShownAttribute;

    fn by_id(&self) -> bool {
        !self.allocation_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownAttribute)>, Error> {
        let region = call.region();
        let addresses = pick(&self.allocation_id, region.addresses(), Fault::AllocationNotFound)?;
        let shown = |address: &Address| {
            let (public_ip, allocation_id) = (address.public_ip, address.allocation);
            (allocation_id.to_string(), ShownAttribute { public_ip, allocation_id })
        };
        Ok(addresses.into_iter().map(shown).collect())
    }
}

impl Action for ReleaseAddress {
    const LIMITS: &'static [Limit] = &[("NetworkBorderGroup", &[]), ("PublicIp", &[])];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::ReleaseAddress { allocation: self.allocation_id })?;
        Ok(DONE)
    }
}

impl Action for AssociateAddress {
    const LIMITS: &'static [Limit] = &[("PublicIp", &[])];
    type Answer = AssociateAddressAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<AssociateAddressAnswer, Error> {
        let (allocation, private_ip) = (self.allocation_id, self.private_ip_address);
        let (pool, reassociate) = (call.pool(), self.allow_reassociation.unwrap_or(true));
        call.commit(move |transaction| {
            let interface = match (self.network_interface_id, self.instance_id) {
                (Some(_), Some(_)) => {
                    return Err(Error::Combination("Give a network interface or an instance, not both."));
                }
                (Some(interface), None) => interface,
                (None, Some(instance)) => interface_of(transaction.region(), instance)?,
                (None, None) => return Err(Error::MissingParameter("InstanceId".to_owned())),
            };
            let change = if reassociate {
                Change::ReassociateAddress { allocation, interface, private_ip }
            } else {
                Change::AssociateAddress { allocation, interface, private_ip }
            };
            let mut elastic = transaction.region().addresses().values();
            let before = elastic.find(|address| address.allocation == allocation).and_then(has_it);
            let Applied::AddressAssociation(association_id) = transaction.apply(change)? else {
                return Err(Error::Unexpected);
            };
            make_up(transaction, pool, before)?;
            Ok(AssociateAddressAnswer { r#return: true, association_id })
        })
    }
}

impl Action for DisassociateAddress {
    const LIMITS: &'static [Limit] = &[("PublicIp", &[])];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (pool, association) = (call.pool(), self.association_id);
        call.commit(move |transaction| {
            let of = |to: &AddressAssociation| to.id == association;
            let mut elastic = transaction.region().addresses().values();
            let before =
                elastic.find(|address| address.association.as_ref().is_some_and(of)).and_then(has_it);
            transaction.apply(Change::DisassociateAddress { association })?;
            make_up(transaction, pool, before)?;
            Ok(DONE)
        })
    }
}

/// The interface that an Elastic IP address is mapped to.
fn has_it(address: &Address) -> Option<InterfaceId> {
    address.association.as_ref().map(|to| to.interface)
}

/// Gives an interface that an Elastic IP address was taken from a public address again, if it had one before. Where
/// there is none it goes without: the Elastic IP address is taken all the same.
fn make_up(
    transaction: &mut Transaction<'_>,
    pool: Pool,
    interface: Option<InterfaceId>,
) -> Result<(), Error> {
    match interface.map_or(Ok(()), |interface| pool.serve(transaction, interface)) {
        Err(Error::InsufficientAddressCapacity(_)) => Ok(()),
        other => other,
    }
}

/// The interface of an instance that has one.
fn interface_of(region: &Region, id: InstanceId) -> Result<InterfaceId, Error> {
    let instance = region.instances().get(&id).ok_or(Fault::InstanceNotFound(id))?;
    match *instance.interfaces.as_slice() {
        [interface] => Ok(interface),
        [] => Err(Fault::IncorrectInstanceState { instance: id, wanted: "used" }.into()),
        _ => Err(Fault::NotOneInterface(id).into()),
    }
}

fn shown(region: &Region, address: &Address) -> ShownAddress {
    let key = region.key();
    let association = address.association.as_ref();
    let interface = association.and_then(|association| region.interfaces().get(&association.interface));
    let attachment = interface.and_then(|interface| interface.attachment.as_ref());
    ShownAddress {
        public_ip: address.public_ip,
        allocation_id: address.allocation,
        domain: DOMAIN,
        association_id: association.map(|association| association.id),
        network_interface_id: interface.map(|interface| interface.id),
        network_interface_owner_id: interface.map(|_| key.account.0.clone()),
        private_ip_address: association.map(|association| association.private_ip),
        instance_id: attachment.map(|attachment| attachment.instance),
        subnet_id: interface.map(|interface| interface.subnet),
        public_ipv4_pool: POOL,
        network_border_group: key.region.0.clone(),
        tag_set: tag_set(&address.tags),
    }
}
