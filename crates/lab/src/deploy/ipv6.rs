//! IPv6 and what came with it: CIDR blocks of VPCs and subnets, egress-only gateways, prefix lists, gateway route tables.

use std::collections::BTreeSet;

use ipnet::Ipv6Net;
use model::{
    AddressFamily, Change, Ipv6Addresses, PrefixListEntry, PrefixListId, SubnetId, SubnetIpv6Attribute,
    free_ipv6_block,
};

use super::resources::{Properties, cidr};
use super::update::Revision;
use super::{Maker, PhysicalId};
use crate::error::{LabError, TemplateFault, WorldFault};
use crate::template::Resource;
use crate::yaml::{Fields, Node};

const CIDR_BLOCKS: &[&str] = &["CidrBlock", "AmazonProvidedIpv6CidrBlock"];

impl Maker<'_> {
    pub(super) fn vpc_cidr_block(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let vpc = fields.required("VpcId")?.value("the id of a VPC")?;
        let (change, node) = match fields.one_of(CIDR_BLOCKS)? {
            ("CidrBlock", node) => (Change::AssociateVpcCidrBlock { vpc, cidr: cidr(node)? }, node),
            (property, node) if !node.boolean()? => {
                let (value, why) = ("false".to_owned(), "leave the resource out instead");
                return Err(node.error(TemplateFault::PropertyValue { property, value, why }));
            }
            (_, node) => {
                let cidr = self.ipv6_block(properties.resource)?;
                (Change::AssociateVpcIpv6CidrBlock { vpc, cidr }, node)
            }
        };
        self.create(properties, &node.place, change)
    }

    pub(super) fn subnet_cidr_block(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("Ipv6CidrBlock")?;
        let subnet = properties.fields.required("SubnetId")?.value("the id of a subnet")?;
        let change = Change::AssociateSubnetCidrBlock { subnet, cidr: cidr6(node)? };
        self.create(properties, &node.place, change)
    }

    /// What a subnet's own properties say of IPv6.
    pub(super) fn subnet_ipv6(
        &mut self,
        properties: &Properties<'_>,
        subnet: SubnetId,
    ) -> Result<(), LabError> {
        let fields = &properties.fields;
        if let Some(node) = fields.optional("Ipv6CidrBlock") {
            let change = Change::AssociateSubnetCidrBlock { subnet, cidr: cidr6(node)? };
            self.apply(properties, &node.place, change)?;
        }
        let attributes = [
            ("AssignIpv6AddressOnCreation", SubnetIpv6Attribute::AssignAddressOnCreation as fn(bool) -> _),
            ("EnableDns64", SubnetIpv6Attribute::EnableDns64),
        ];
        for (name, attribute) in attributes {
            if let Some(node) = fields.optional(name) {
                let change =
                    Change::ModifySubnetIpv6Attribute { subnet, attribute: attribute(node.boolean()?) };
                self.apply(properties, &node.place, change)?;
            }
        }
        Ok(())
    }

    pub(super) fn egress_only_internet_gateway(
        &mut self,
        properties: &Properties<'_>,
    ) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("VpcId")?;
        let vpc = node.value("the id of a VPC")?;
        let change = Change::CreateEgressOnlyInternetGateway { vpc, tags: properties.tags()? };
        self.create(properties, &node.place, change)
    }

    pub(super) fn gateway_route_table(
        &mut self,
        properties: &Properties<'_>,
    ) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("GatewayId")?;
        let table = properties.fields.required("RouteTableId")?.value("the id of a route table")?;
        let gateway = node.value("the id of an internet gateway")?;
        self.create(properties, &node.place, Change::AssociateGatewayRouteTable { table, gateway })
    }

    pub(super) fn prefix_list(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let entries = entries(fields)?;
        let most = max_entries(fields, &entries)?;
        let node = fields.required("PrefixListName")?;
        let change = Change::CreateManagedPrefixList {
            name: node.text("`PrefixListName`")?.to_owned(),
            family: fields.required("AddressFamily")?.value::<AddressFamily>("IPv4 or IPv6")?,
            max_entries: most,
            entries,
            tags: properties.tags()?,
        };
        self.create(properties, &node.place, change)
    }

    /// Its name, its size and its entries, which are changed apart from each other: room first, where there is to be
    /// more of it.
    pub(super) fn update_prefix_list(
        &mut self,
        list: PrefixListId,
        revision: &Revision<'_>,
    ) -> Result<(), LabError> {
        let (old, new) = (entries(&revision.old.fields)?, entries(&revision.new.fields)?);
        let most = max_entries(&revision.new.fields, &new)?;
        let place = &revision.new.resource.place;
        let now = |maker: &Self| maker.cloud.region().prefix_lists().get(&list).cloned();
        let Some(before) = now(self) else { return Ok(()) };
        let modify = |current_version, name, max_entries, add, remove| Change::ModifyManagedPrefixList {
            list,
            current_version,
            name,
            max_entries,
            add,
            remove,
        };
        let name = revision.new.fields.required("PrefixListName")?.text("`PrefixListName`")?.to_owned();
        let grown = (most > before.max_entries).then_some(most);
        self.apply(&revision.new, place, modify(None, Some(name), grown, Vec::new(), Vec::new()))?;
        let add: Vec<_> = new.iter().filter(|entry| !old.contains(entry)).cloned().collect();
        let left = |entry: &&PrefixListEntry| !new.contains(entry);
        let remove: Vec<_> = old.iter().filter(left).map(|entry| entry.cidr.trunc()).collect();
        if !add.is_empty() || !remove.is_empty() {
            self.apply(&revision.new, place, modify(Some(before.version), None, None, add, remove))?;
        }
        if most < before.max_entries {
            self.apply(&revision.new, place, modify(None, None, Some(most), Vec::new(), Vec::new()))?;
        }
        Ok(())
    }

    /// The lowest block of the lab's pool that no VPC has.
    fn ipv6_block(&self, resource: &Resource) -> Result<Ipv6Net, LabError> {
        let mut taken: BTreeSet<_> = self.cloud.region().ipv6_blocks().collect();
        self.cloud.each_other_region(&mut |region| taken.extend(region.ipv6_blocks()));
        let pool = self.lab.world.internet.pool6;
        free_ipv6_block(pool, &taken).ok_or_else(|| resource.place.error(WorldFault::Pool6Exhausted { pool }))
    }
}

fn entries(fields: &Fields<'_>) -> Result<Vec<PrefixListEntry>, LabError> {
    let entry = |node: &Node| {
        let fields = Fields::of(node, "an entry", &["Cidr", "Description"])?;
        let description = fields.optional("Description").map(|node| node.text("`Description`"));
        Ok(PrefixListEntry {
            cidr: fields.required("Cidr")?.value("a network such as 10.0.0.0/16 or 2001:db8::/32")?,
            description: description.transpose()?.map(str::to_owned),
        })
    };
    fields.items("Entries")?.iter().map(entry).collect()
}

/// As many as there are, if nothing is said.
fn max_entries(fields: &Fields<'_>, entries: &[PrefixListEntry]) -> Result<u32, LabError> {
    match fields.optional("MaxEntries") {
        Some(node) => node.value("a number of entries"),
        None => Ok(u32::try_from(entries.len()).unwrap_or(u32::MAX)),
    }
}

/// The IPv6 addresses that an instance asks for; none leaves it to the subnet.
pub(super) fn ipv6_addresses(fields: &Fields<'_>) -> Result<Option<Ipv6Addresses>, LabError> {
    let address = |node: &Node| {
        let fields = Fields::of(node, "an IPv6 address", &["Ipv6Address"])?;
        fields.required("Ipv6Address")?.value("an IPv6 address")
    };
    match (fields.optional("Ipv6AddressCount"), fields.optional("Ipv6Addresses")) {
        (None, None) => Ok(None),
        (Some(node), None) => Ok(Some(Ipv6Addresses::Count(node.value("a number of addresses")?))),
        (None, Some(_)) => {
            let these = fields.items("Ipv6Addresses")?.iter().map(address);
            Ok(Some(Ipv6Addresses::These(these.collect::<Result<_, _>>()?)))
        }
        (Some(_), Some(node)) => {
            let (property, value) = ("Ipv6Addresses", "…".to_owned());
            let why = "either they or Ipv6AddressCount are";
            Err(node.error(TemplateFault::PropertyValue { property, value, why }))
        }
    }
}

/// An IPv6 network as EC2 takes it: it clears the host bits itself.
pub(super) fn cidr6(node: &Node) -> Result<Ipv6Net, LabError> {
    node.value("an IPv6 network such as 2001:db8::/64")
}
