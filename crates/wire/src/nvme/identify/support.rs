//! What a controller supports: the bits of the fields of Identify Controller (Base figure 275).

bits! {
    /// Multi-path and namespace sharing capabilities (CMIC).
    pub struct MultiPath: u8 {
        /// The subsystem may have several ports.
        PORTS = 0x01;
        /// The subsystem may have several controllers.
        CONTROLLERS = 0x02;
        /// The controller stands for an SR-IOV virtual function.
        VIRTUAL_FUNCTION = 0x04;
        /// The subsystem reports asymmetric namespace access.
        ANA_REPORTING = 0x08;
    }
}

bits! {
    /// Asynchronous events: those supported (OAES) and those enabled (feature 0Bh) share their bits.
    pub struct AsyncEvents: u32 {
        /// Namespace attribute notices.
        NAMESPACE_ATTRIBUTE = 1 << 8;
        /// Firmware activation notices.
        FIRMWARE_ACTIVATION = 1 << 9;
        /// Telemetry log notices (only to enable).
        TELEMETRY_LOG = 1 << 10;
        /// Asymmetric namespace access change notices.
        ANA_CHANGE = 1 << 11;
        /// Discovery log page change notices.
        DISCOVERY_LOG_CHANGE = 1 << 31;
    }
}

bits! {
    /// Controller attributes (CTRATT).
    pub struct ControllerAttributes: u32 {
        /// Host identifiers of 128 bits.
        HOST_ID_128 = 1 << 0;
        /// Commands of any kind restart the keep alive timer (TBKAS).
        TRAFFIC_BASED_KEEP_ALIVE = 1 << 6;
        /// The UUID list exists.
        UUID_LIST = 1 << 9;
    }
}

bits! {
    /// Optional admin commands (OACS).
    pub struct AdminCommands: u16 {
        /// Security Send and Receive.
        SECURITY = 1 << 0;
        /// Format NVM.
        FORMAT = 1 << 1;
        /// Firmware Commit and Download.
        FIRMWARE = 1 << 2;
        /// Namespace Management and Attachment.
        NAMESPACE_MANAGEMENT = 1 << 3;
        /// Device Self-test.
        SELF_TEST = 1 << 4;
    }
}

bits! {
    /// Log page attributes (LPA).
    pub struct LogPageAttributes: u8 {
        /// SMART information for each namespace.
        NAMESPACE_HEALTH = 0x01;
        /// The Commands Supported and Effects page exists.
        COMMAND_EFFECTS = 0x02;
        /// Get Log Page has offsets and lengths of 32 bits and more.
        EXTENDED_DATA = 0x04;
        /// Telemetry pages exist.
        TELEMETRY = 0x08;
        /// The persistent event log exists.
        PERSISTENT_EVENT = 0x10;
        /// The Supported Log Pages page and its companions exist.
        SUPPORTED_PAGES = 0x20;
    }
}

bits! {
    /// Asymmetric namespace access capabilities (ANACAP).
    pub struct AnaCapabilities: u8 {
        /// Reports the state optimized.
        OPTIMIZED = 0x01;
        /// Reports the state non-optimized.
        NON_OPTIMIZED = 0x02;
        /// Reports the state inaccessible.
        INACCESSIBLE = 0x04;
        /// Reports the state persistent loss.
        PERSISTENT_LOSS = 0x08;
        /// Reports the state change.
        CHANGE = 0x10;
        /// A namespace keeps its group while it is attached.
        GROUP_NEVER_CHANGES = 0x40;
        /// The host may set the group of a namespace.
        GROUP_SETTABLE = 0x80;
    }
}

bits! {
    /// Optional NVM commands (ONCS).
    pub struct NvmCommands: u16 {
        /// Compare.
        COMPARE = 1 << 0;
        /// Write Uncorrectable.
        WRITE_UNCORRECTABLE = 1 << 1;
        /// Dataset Management.
        DATASET_MANAGEMENT = 1 << 2;
        /// Write Zeroes.
        WRITE_ZEROES = 1 << 3;
        /// Save and Select in Set and Get Features.
        SAVE_AND_SELECT = 1 << 4;
        /// Reservations.
        RESERVATIONS = 1 << 5;
        /// The Timestamp feature.
        TIMESTAMP = 1 << 6;
        /// Verify.
        VERIFY = 1 << 7;
        /// Copy.
        COPY = 1 << 8;
    }
}

bits! {
    /// Fused operations (FUSES).
    pub struct FusedOperations: u16 {
        /// Compare and Write.
        COMPARE_AND_WRITE = 1 << 0;
    }
}

bits! {
    /// Volatile write cache (VWC).
    pub struct VolatileWriteCache: u8 {
        /// There is one.
        PRESENT = 0x01;
        /// Flush of namespace FFFFFFFFh is not supported.
        FLUSH_ALL_UNSUPPORTED = 0x04;
        /// Flush of namespace FFFFFFFFh is supported.
        FLUSH_ALL_SUPPORTED = 0x06;
    }
}

bits! {
    /// SGL support (SGLS).
    pub struct SglSupport: u32 {
        /// SGLs are supported, without a demand on alignment.
        SUPPORTED = 0x1;
        /// SGLs are supported, addresses and lengths in dwords.
        SUPPORTED_DWORDS = 0x2;
        /// Keyed data block descriptors.
        KEYED = 1 << 2;
        /// Bit bucket descriptors.
        BIT_BUCKET = 1 << 16;
        /// Lengths past the data of the command.
        OVERSIZED = 1 << 18;
        /// Offsets into the capsule.
        IN_CAPSULE_OFFSET = 1 << 20;
        /// Transport data block descriptors.
        TRANSPORT_DATA_BLOCK = 1 << 21;
    }
}
