//! Reservations of the addresses of subnets.

use ipnet::IpNet;
use model::{
    Applied, Change, Fault, Region, ReservationType, SubnetCidrReservation, SubnetCidrReservationId, SubnetId,
};
use serde::{Deserialize, Serialize};

use super::Action;
use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::{Filter, Names};
use crate::ec2::page::{self, Selection};
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSubnetCidrReservation {
    subnet_id: SubnetId,
    cidr: IpNet,
    reservation_type: Kind,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateAnswer {
    subnet_cidr_reservation: ShownReservation,
}

/// Those of both families are pages of one list, so this is no action that describes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSubnetCidrReservations {
    subnet_id: SubnetId,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<u32>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetAnswer {
    subnet_ipv4_cidr_reservation_set: Vec<ShownReservation>,
    subnet_ipv6_cidr_reservation_set: Vec<ShownReservation>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSubnetCidrReservation {
    subnet_cidr_reservation_id: SubnetCidrReservationId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteAnswer {
    deleted_subnet_cidr_reservation: ShownReservation,
}

/// [`ReservationType`], as it is asked for and shown.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Prefix,
    Explicit,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownReservation {
    subnet_cidr_reservation_id: SubnetCidrReservationId,
    subnet_id: SubnetId,
    cidr: IpNet,
    reservation_type: Kind,
    owner_id: String,
    description: String,
    tag_set: Vec<Tag>,
}

const FILTERS: &Names =
    &[("reservationType", "reservationType"), ("subnet-id", "subnetId"), ("tag-key", "tagSet.key")];

impl Action for CreateSubnetCidrReservation {
    type Answer = CreateAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<CreateAnswer, Error> {
        let create = Change::CreateSubnetCidrReservation {
            subnet: self.subnet_id,
            cidr: self.cidr,
            reservation_type: match self.reservation_type {
                Kind::Prefix => ReservationType::Prefix,
                Kind::Explicit => ReservationType::Explicit,
            },
            description: self.description,
            tags: tags_for("subnet-cidr-reservation", self.tag_specification)?,
        };
        call.commit(move |transaction| {
            let Applied::SubnetCidrReservation(id) = transaction.apply(create)? else {
                return Err(Error::Unexpected);
            };
            Ok(CreateAnswer { subnet_cidr_reservation: shown(transaction.region(), id)? })
        })
    }
}

impl Action for GetSubnetCidrReservations {
    type Answer = GetAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<GetAnswer, Error> {
        let region = call.region();
        region.subnets().get(&self.subnet_id).ok_or(Fault::SubnetNotFound(self.subnet_id))?;
        let all = region.subnet_cidr_reservations().values();
        let all = all.filter(|reservation| reservation.subnet == self.subnet_id);
        let all =
            all.map(|reservation| (reservation.id.to_string(), ShownReservation::of(&region, reservation)));
        let selection = Selection {
            filters: &self.filter,
            names: FILTERS,
            most: self.max_results,
            next_token: self.next_token.as_deref(),
            by_id: false,
        };
        let page = page::select(all, &selection)?;
        let (v4, v6) = page.items.into_iter().partition(|shown| matches!(shown.cidr, IpNet::V4(_)));
        Ok(GetAnswer {
            subnet_ipv4_cidr_reservation_set: v4,
            subnet_ipv6_cidr_reservation_set: v6,
            next_token: page.next_token,
        })
    }
}

impl Action for DeleteSubnetCidrReservation {
    type Answer = DeleteAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<DeleteAnswer, Error> {
        let reservation = self.subnet_cidr_reservation_id;
        call.commit(move |transaction| {
            let before = shown(transaction.region(), reservation)?;
            transaction.apply(Change::DeleteSubnetCidrReservation { reservation })?;
            Ok(DeleteAnswer { deleted_subnet_cidr_reservation: before })
        })
    }
}

fn shown(region: &Region, id: SubnetCidrReservationId) -> Result<ShownReservation, Error> {
    let reservation = region.subnet_cidr_reservations().get(&id);
    let reservation = reservation.ok_or(Fault::SubnetCidrReservationNotFound(id))?;
    Ok(ShownReservation::of(region, reservation))
}

impl ShownReservation {
    fn of(region: &Region, reservation: &SubnetCidrReservation) -> ShownReservation {
        ShownReservation {
            subnet_cidr_reservation_id: reservation.id,
            subnet_id: reservation.subnet,
            cidr: reservation.cidr,
            reservation_type: match reservation.reservation_type {
                ReservationType::Prefix => Kind::Prefix,
                ReservationType::Explicit => Kind::Explicit,
            },
            owner_id: region.key().account.0.clone(),
            description: reservation.description.clone(),
            tag_set: tag_set(&reservation.tags),
        }
    }
}
