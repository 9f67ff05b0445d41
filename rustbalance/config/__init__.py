"""The configuration: ``config.toml`` to ``Config``, or every complaint at once."""

from rustbalance.config.addresses import Address, HostPort, UnixPath
from rustbalance.config.complaints import Complaint, ConfigError
from rustbalance.config.load import Places, check_master_address, find_given, find_places, load_config, wipe_secrets
from rustbalance.config.schema import Config
from rustbalance.config.tls_check import TlsCheck

__all__ = [
    "Address",
    "Complaint",
    "Config",
    "ConfigError",
    "HostPort",
    "Places",
    "TlsCheck",
    "UnixPath",
    "check_master_address",
    "find_given",
    "find_places",
    "load_config",
    "wipe_secrets",
]
