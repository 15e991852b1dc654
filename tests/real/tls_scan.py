"""Scans a server's TLS with sslyze: tls_scan.py scan PORT NAME CA, or only asks which certificate it serves: serial PORT NAME.

`scan` prints one JSON object: what breaks Mozilla's "intermediate" configuration, and what stapled the server has.
"""

import json
import socket
import ssl
import sys
import warnings

from cryptography import x509
from cryptography.x509 import ocsp

warnings.simplefilter("ignore")
port, name = int(sys.argv[2]), sys.argv[3]

if sys.argv[1] == "serial":
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as tcp:
        with context.wrap_socket(tcp, server_hostname=name) as tls:
            print(x509.load_der_x509_certificate(tls.getpeercert(binary_form=True)).serial_number)
    sys.exit()

import pathlib

import sslyze
from sslyze.mozilla_tls_profile.tls_config_checker import (
    MozillaTlsConfiguration,
    ServerNotCompliantWithTlsConfiguration,
    TlsConfigurationEnum,
    check_server_against_tls_configuration,
)

commands = set(sslyze.ScanCommand) - {
    sslyze.ScanCommand.HTTP_HEADERS,  # what a server says over HTTP is the service's own
}
scanner = sslyze.Scanner()
scanner.queue_scans(
    [
        sslyze.ServerScanRequest(
            server_location=sslyze.ServerNetworkLocation(hostname=name, ip_address="127.0.0.1", port=port),
            network_configuration=sslyze.ServerNetworkConfiguration(tls_server_name_indication=name),
            scan_commands=commands,
            scan_commands_extra_arguments=sslyze.ScanCommandsExtraArguments(
                certificate_info=sslyze.CertificateInfoExtraArgument(custom_ca_file=pathlib.Path(sys.argv[4]))
            ),
        )
    ]
)
result = next(iter(scanner.get_results()))
issues = {}
try:
    check_server_against_tls_configuration(
        server_scan_result=result, tls_config_to_check_against=MozillaTlsConfiguration.get(TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
    )
except ServerNotCompliantWithTlsConfiguration as error:
    issues = error.issues
scan = result.scan_result
deployments = scan.certificate_info.result.certificate_deployments
stapled = [deployment.ocsp_response for deployment in deployments]
print(
    json.dumps(
        {
            "issues": issues,
            "stapled": [answer.certificate_status.name for answer in stapled if answer is not None],
            "serials": sorted({str(deployment.received_certificate_chain[0].serial_number) for deployment in deployments}),
            "early_data": scan.tls_1_3_early_data.result.supports_early_data,
            "compression": scan.tls_compression.result.supports_compression,
            "renegotiation": scan.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos,
        }
    )
)
