//! The default VPC and its subnets (VPC User Guide, "Default VPCs").

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::cidr_pool;
use crate::fault::Fault;
use crate::id::{SubnetId, VpcId};
use crate::quota::Quota;
use crate::region::Region;
use crate::route_table::RouteVia;
use crate::subnet::Subnet;
use crate::tag::Tags;
use crate::vpc::Vpc;

const DEFAULT_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 31, 0, 0), 16);
const SUBNET_PREFIX: u8 = 20;

impl Region {
    /// The VPC for instances for which no subnet is named.
    pub fn default_vpc(&self) -> Option<&Vpc> {
        self.vpcs.values().find(|vpc| vpc.is_default)
    }

    /// The default subnet of an availability zone.
    pub fn default_subnet(&self, availability_zone: &str) -> Option<&Subnet> {
        self.subnets
            .values()
            .find(|subnet| subnet.default_for_az && subnet.availability_zone == availability_zone)
    }

    pub(crate) fn create_default_vpc(&mut self) -> Result<VpcId, Fault> {
        if self.default_vpc().is_some() {
            return Err(Fault::DefaultVpcAlreadyExists);
        }
        // All that could be refused is asked first: afterwards there is no way back.
        self.quotas.allow(Quota::Vpcs, self.vpcs.len() + 1)?;
        self.quotas.allow(Quota::InternetGateways, self.internet_gateways.len() + 1)?;
        let zones: Vec<_> = self.key.region.availability_zones().collect();
        self.quotas.allow(Quota::SubnetsPerVpc, zones.len())?;
        self.quotas.allow(Quota::RoutesPerTable, 1)?;

        let id = self.insert_vpc(DEFAULT_CIDR, Tags::new());
        let igw = self.create_internet_gateway(Tags::new())?;
        self.attach_internet_gateway(igw, id)?;
        let everywhere = Ipv4Net::default().into();
        self.create_route(self.vpc(id)?.main_route_table, everywhere, RouteVia::InternetGateway(igw))?;
        if let Some(vpc) = self.vpcs.get_mut(&id) {
            (vpc.is_default, vpc.enable_dns_hostnames) = (true, true);
        }
        for zone in zones {
            self.create_default_subnet(zone)?;
        }
        Ok(id)
    }

    pub(crate) fn create_default_subnet(&mut self, availability_zone: String) -> Result<SubnetId, Fault> {
        let vpc = self.default_vpc().ok_or(Fault::DefaultVpcDoesNotExist)?;
        if let Some(subnet) = self.default_subnet(&availability_zone) {
            return Err(Fault::DefaultSubnetAlreadyExists(subnet.id));
        }
        let (id, cidr) = (vpc.id, vpc.cidr);
        let mut parts = cidr.subnets(SUBNET_PREFIX).into_iter().flatten();
        let free = |part: &Ipv4Net| !self.subnets_of(id).any(|other| cidr_pool::overlap(other.cidr, *part));
        // EC2 says no more than that there is no room.
        let part = parts.find(free).ok_or(Fault::SubnetConflict(cidr.into()))?;

        let subnet = self.create_subnet(id, part, Some(availability_zone), Tags::new())?;
        if let Some(subnet) = self.subnets.get_mut(&subnet) {
            (subnet.default_for_az, subnet.map_public_ip_on_launch) = (true, true);
        }
        Ok(subnet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, region};
    use crate::{Applied, Change, RouteState};

    #[test]
    fn the_default_vpc_is_complete() {
        let mut region = region();
        let Ok(Applied::Vpc(id)) = region.apply(Change::CreateDefaultVpc) else { panic!() };
        let vpc = region.vpcs()[&id].clone();
        assert!(vpc.is_default);
        assert_eq!(vpc.cidr, cidr("172.31.0.0/16"));
        assert_eq!(region.default_vpc(), Some(&vpc));
        let mut subnets: Vec<_> = region.subnets().values().collect();
        subnets.sort_by_key(|subnet| subnet.cidr);
        assert_eq!(subnets.len(), 6);
        for (n, subnet) in subnets.iter().enumerate() {
            assert!(subnet.default_for_az && subnet.map_public_ip_on_launch && subnet.vpc == id);
            assert_eq!(subnet.cidr, cidr(&format!("172.31.{}.0/20", n * 16)));
            assert_eq!(region.default_subnet(&subnet.availability_zone), Some(*subnet));
        }
        let main = &region.route_tables()[&vpc.main_route_table];
        let out = main.routes().find(|route| route.destination == Ipv4Net::default().into()).unwrap();
        assert_eq!(region.route_state(out), RouteState::Active);

        let again = region.apply(Change::CreateDefaultVpc).unwrap_err();
        assert_eq!(again.code(), "DefaultVpcAlreadyExists");
    }

    #[test]
    fn a_default_subnet_comes_back() {
        let mut network = Network::new();
        let create = |zone: &str| Change::CreateDefaultSubnet { availability_zone: zone.to_owned() };
        assert_eq!(network.refused(create("eu-west-1b")).code(), "DefaultVpcDoesNotExist");
        let Applied::Vpc(vpc) = network.apply(Change::CreateDefaultVpc) else { panic!() };
        let fault = network.refused(create("eu-west-1b"));
        assert_eq!(fault.code(), "DefaultSubnetAlreadyExistsInAvailabilityZone");
        assert_eq!(network.refused(create("eu-west-9b")).code(), "InvalidParameterValue");

        let gone = network.region.default_subnet("eu-west-1b").unwrap().clone();
        network.apply(Change::DeleteSubnet { subnet: gone.id });
        let other = Change::CreateSubnet {
            vpc,
            cidr: cidr("172.31.16.0/24"),
            availability_zone: None,
            tags: Tags::new(),
        };
        network.apply(other);
        network.apply(create("eu-west-1b"));
        let made = network.region.default_subnet("eu-west-1b").unwrap();
        assert_eq!(made.cidr, cidr("172.31.96.0/20"), "the lowest that is free");
    }

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut network = Network::new();
        for _ in 0..5 {
            network.apply(Change::CreateInternetGateway { tags: Tags::new() });
        }
        assert_eq!(network.refused(Change::CreateDefaultVpc).code(), "InternetGatewayLimitExceeded");
    }
}
