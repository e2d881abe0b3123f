//! The small numbers of communication management.

codes! {
    /// What a connection is to be (REQ, 12.6.5: transport service type).
    pub enum Service: u8 {
        ReliableConnection = 0, "RC";
        UnreliableConnection = 1, "UC";
        ReliableDatagram = 2, "RD";
        Extended = 3, "extended";
    }
}

codes! {
    /// Which message is refused, or awaits its answer (12.6.6, 12.6.7).
    pub enum Rejected: u8 {
        Request = 0, "REQ";
        Reply = 1, "REP";
        Other = 2, "no message";
    }
}

codes! {
    /// Why a connection is refused (12.6.7.2, table 110).
    pub enum RejectReason: u16 {
        NoQueuePair = 1, "no queue pair available";
        NoEndToEndContext = 2, "no end-to-end context available";
        NoResources = 3, "no resources available";
        Timeout = 4, "timeout";
        Unsupported = 5, "unsupported request";
        InvalidCommunicationId = 6, "invalid communication id";
        InvalidCommunicationInstance = 7, "invalid communication instance";
        InvalidServiceId = 8, "invalid service id";
        InvalidTransportService = 9, "invalid transport service type";
        StaleConnection = 10, "stale connection";
        NoReliableDatagramDomain = 11, "reliable datagram domain does not exist";
        PrimaryRemoteGid = 12, "primary remote port GID rejected";
        PrimaryRemoteLid = 13, "primary remote port LID rejected";
        PrimaryServiceLevel = 14, "invalid primary service level";
        PrimaryTrafficClass = 15, "invalid primary traffic class";
        PrimaryHopLimit = 16, "invalid primary hop limit";
        PrimaryPacketRate = 17, "invalid primary packet rate";
        AlternateRemoteGid = 18, "alternate remote port GID rejected";
        AlternateRemoteLid = 19, "alternate remote port LID rejected";
        AlternateServiceLevel = 20, "invalid alternate service level";
        AlternateTrafficClass = 21, "invalid alternate traffic class";
        AlternateHopLimit = 22, "invalid alternate hop limit";
        AlternatePacketRate = 23, "invalid alternate packet rate";
        PortRedirection = 24, "redirected to another port";
        InvalidPathMtu = 25, "invalid path MTU";
        InsufficientResources = 26, "insufficient responder resources";
        Consumer = 28, "rejected by the consumer";
        RnrRetryCount = 29, "RNR retry count rejected";
        DuplicateCommunicationId = 30, "duplicate local communication id";
        UnsupportedClassVersion = 31, "class version not supported";
        FlowLabel = 32, "invalid primary flow label";
        AlternateFlowLabel = 33, "invalid alternate flow label";
        VendorOption = 35, "vendor option not supported";
    }
}

codes! {
    /// What became of a service id's resolution (12.11.2, table 119).
    pub enum ResolutionStatus: u8 {
        Valid = 0, "valid";
        InvalidServiceId = 1, "service id not supported";
        Rejected = 2, "rejected by the service provider";
        NoQueuePair = 3, "no queue pair available";
        Redirect = 4, "redirected";
        UnsupportedVersion = 5, "class version not supported";
    }
}

codes! {
    /// What became of an alternate path (12.8.2, table 116).
    pub enum PathStatus: u8 {
        Loaded = 0, "loaded";
        InvalidCommunicationId = 1, "invalid communication id";
        Unsupported = 2, "alternate paths not supported";
        Rejected = 3, "failover port rejected";
        Redirect = 4, "redirected";
        Duplicate = 5, "path identical with the one there is";
        PortMismatch = 6, "queue pair and port do not match";
        RemoteGid = 7, "remote port GID rejected";
        RemoteLid = 8, "remote port LID rejected";
        FlowLabel = 9, "invalid flow label";
        TrafficClass = 10, "invalid traffic class";
        HopLimit = 11, "invalid hop limit";
        PacketRate = 12, "invalid packet rate";
        ServiceLevel = 13, "invalid service level";
    }
}
