"""What answers lack of AWS's own model of the API, each with why clients can do without."""

# By reason: structures' members, as botocore names them.
ABSENT = {
    "There is no such network here: no Wavelength, Outpost, Local Zone, Local Gateway, Transit Gateway, Cloud WAN": """
        Address.CarrierIp Address.CustomerOwnedIp Address.CustomerOwnedIpv4Pool AllocateAddressResult.CarrierIp
        AllocateAddressResult.CustomerOwnedIp AllocateAddressResult.CustomerOwnedIpv4Pool
        AvailabilityZone.ParentZoneId AvailabilityZone.ParentZoneName Instance.OutpostArn
        InstanceNetworkInterfaceAssociation.CarrierIp InstanceNetworkInterfaceAssociation.CustomerOwnedIp
        InstanceStatus.OutpostArn NetworkInterface.OutpostArn NetworkInterfaceAssociation.CarrierIp
        NetworkInterfaceAssociation.CustomerOwnedIp Route.CarrierGatewayId Route.CoreNetworkArn
        Route.LocalGatewayId Route.OdbNetworkArn Route.TransitGatewayId Subnet.CustomerOwnedIpv4Pool
        Subnet.EnableLniAtDeviceIndex Subnet.OutpostArn RouteTableAssociation.PublicIpv4Pool
        Route.IpAddress SecurityGroupReference.TransitGatewayId
    """,
    "Requests for it are refused: appliances, regional NAT gateways, IPAM, encryption": """
        NetworkInterface.Ipv6Native NetworkInterface.AssociatedSubnets NatGateway.AttachedAppliances
        NatGateway.AutoProvisionZones NatGateway.AutoScalingIps NatGateway.ProvisionedBandwidth
        NatGateway.RouteTableId NatGatewayAddress.AvailabilityZone NatGatewayAddress.AvailabilityZoneId
        ManagedPrefixList.IpamPrefixListResolverSyncEnabled ManagedPrefixList.IpamPrefixListResolverTargetId
        Vpc.EncryptionControl Vpc.BlockPublicAccessStates Subnet.BlockPublicAccessStates
        NetworkInterface.DenyAllIgwTraffic Subnet.Type VpcPeeringConnection.MultipathResilienceStatus
        VpcPeeringConnectionOptionsDescription.AllowMultipathResilience
        VpcPeeringConnectionOptionsDescription.MultipathResilienceMode
        InstanceNetworkInterfaceAttachment.EnaQueueCount InstanceNetworkInterfaceAttachment.EnaSrdSpecification
        NetworkInterfaceAttachment.EnaQueueCount NetworkInterfaceAttachment.EnaSrdSpecification
        DescribeNetworkInterfaceAttributeResult.AssociatePublicIpAddress Monitoring.MetricCategoryIds
        Placement.Affinity Placement.GroupId Placement.HostId Placement.HostResourceGroupArn
        Placement.PartitionNumber Placement.SpreadDomain
    """,
    "Flow logs go to buckets, and tell of no tags": """
        FlowLog.DeliverCrossAccountRole FlowLog.DeliverLogsPermissionArn FlowLog.LogGroupName
        FlowLog.TagFieldSpecifications
    """,
    "EC2-Classic is no more": """
        UserIdGroupPair.GroupName
        VpcPeeringConnectionOptionsDescription.AllowEgressFromLocalClassicLinkToRemoteVpc
        VpcPeeringConnectionOptionsDescription.AllowEgressFromLocalVpcToRemoteClassicLink
    """,
    "No AWS service owns or requested it": """
        Address.ServiceManaged Instance.Operator InstanceNetworkInterface.Operator InstanceStatus.Operator
        NetworkInterface.Operator NetworkInterface.RequesterId Reservation.RequesterId
    """,
    "There are no such names": """
        NetworkInterface.PublicDnsName NetworkInterface.PublicIpDnsNameOptions
        NetworkInterfaceIpv6Address.PublicIpv6DnsName Instance.PrivateDnsNameOptions
        AddressAttribute.PtrRecord AddressAttribute.PtrRecordUpdate
    """,
    "An older form of what is there as a list": "NetworkInterface.Ipv6Address",
    "Where an address block comes from is always the same; absent, clients take it for AWS": """
        VpcIpv6CidrBlockAssociation.IpSource VpcIpv6CidrBlockAssociation.Ipv6AddressAttribute
        SubnetIpv6CidrBlockAssociation.IpSource SubnetIpv6CidrBlockAssociation.Ipv6AddressAttribute
    """,
    "Only of a state that nothing here goes through": """
        ManagedPrefixList.StateMessage NatGatewayAddress.FailureMessage RouteTableAssociationState.StatusMessage
        SubnetCidrBlockState.StatusMessage VpcCidrBlockState.StatusMessage
        RevokeSecurityGroupEgressResult.UnknownIpPermissions RevokeSecurityGroupIngressResult.UnknownIpPermissions
        FlowLog.DeliverLogsErrorMessage
    """,
    "There are no snapshots": "DeregisterImageResult.DeleteSnapshotResults",
    "An instance is a namespace of Linux: nothing of disks, firmware, accelerators, licences, prices, reservations": """
        CpuOptions.AmdSevSnp CpuOptions.NestedVirtualization
        Instance.BootMode Instance.CapacityBlockId Instance.CapacityReservationId
        Instance.CapacityReservationSpecification Instance.CurrentInstanceBootMode
        Instance.ElasticGpuAssociations Instance.ElasticInferenceAcceleratorAssociations
        Instance.IamInstanceProfile Instance.InstanceLifecycle Instance.KernelId Instance.Licenses
        Instance.MaintenanceOptions Instance.NetworkPerformanceOptions Instance.Platform Instance.RamdiskId
        Instance.SecondaryInterfaces Instance.SpotInstanceRequestId Instance.SriovNetSupport
        Instance.TpmSupport Instance.UsageOperationUpdateTime
        InstanceAttribute.BlockDeviceMappings InstanceAttribute.DisableApiStop InstanceAttribute.EbsOptimized
        InstanceAttribute.EnaSupport InstanceAttribute.EnclaveOptions InstanceAttribute.KernelId
        InstanceAttribute.ProductCodes InstanceAttribute.RamdiskId InstanceAttribute.RootDeviceName
        InstanceAttribute.SriovNetSupport InstanceStatus.ApplicationStatus InstanceStatus.AttachedEbsStatus
        InstanceStatus.PerformanceStatus InstanceStatusDetails.ImpairedSince
        InstanceTypeInfo.EbsInfo InstanceTypeInfo.FpgaInfo InstanceTypeInfo.GpuInfo
        InstanceTypeInfo.InferenceAcceleratorInfo InstanceTypeInfo.InstanceStorageInfo
        InstanceTypeInfo.MediaAcceleratorInfo InstanceTypeInfo.NeuronInfo InstanceTypeInfo.NitroEnclavesSupport
        InstanceTypeInfo.NitroTpmInfo InstanceTypeInfo.NitroTpmSupport InstanceTypeInfo.PhcSupport
        InstanceTypeInfo.PlacementGroupInfo InstanceTypeInfo.RebootMigrationSupport
        InstanceTypeInfo.SupportedBootModes InstanceTypeInfo.SupportedInRegion
        NetworkInfo.BandwidthWeightings NetworkInfo.ConnectionTrackingConfiguration NetworkInfo.EfaInfo
        NetworkInfo.EnaSrdSupported NetworkInfo.EncryptionInTransitSupported
        NetworkInfo.FlexibleEnaQueuesSupport NetworkInfo.Ipv4AddressesPerSecondaryInterface
        NetworkInfo.MaximumSecondaryNetworkInterfaces NetworkInfo.NetworkCards
        NetworkInfo.SecondaryNetworkSupported ProcessorInfo.Manufacturer ProcessorInfo.SupportedFeatures
        ProcessorInfo.SustainedClockSpeedInGhz VCpuInfo.ValidCores VCpuInfo.ValidThreadsPerCore
    """,
    "An image is a root file system, made by nobody but its owner": """
        Image.BootMode Image.DeprecationTime Image.DeregistrationProtection Image.FreeTierEligible
        Image.ImageAllowed Image.ImageOwnerAlias Image.ImageWatermarks Image.ImdsSupport
        Image.InstanceTypeSpecification Image.KernelId Image.LastLaunchedTime Image.Platform
        Image.ProductCodes Image.PublicSsmParameterName Image.RamdiskId Image.ScanResults
        Image.SourceImageId Image.SourceImageRegion Image.SourceInstanceId Image.SriovNetSupport
        Image.StateReason Image.TpmSupport
    """,
    "For people who choose a place on a map": """
        AvailabilityZone.Geography AvailabilityZone.GroupLongName AvailabilityZone.SubGeography Region.Geography
    """,
}

# What AWS does itself, against its model.
STRANGE = {
    # EC2 says "available" where "attached" is documented ("Amazon EC2 API Reference", "InternetGatewayAttachment").
    "DescribeInternetGateways.InternetGateways.Attachments.State: 'available' is no string",
}
