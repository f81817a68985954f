
ß
¨
"
telemetry.sdk.language
python
%
telemetry.sdk.name
opentelemetry
!
telemetry.sdk.version
1.45.2
=
service.instance.id&
$28d4f596-f1c9-4433-a140-91b4754657ec

service.name
check-python

service.version
1.2.3

	host.name
box-1
'
deployment.environment.name
checks±
'
checks.clients0.1
team
checks…	$épSØ9ê*=2;

message

structured
 
check
kc4bdf6d5483a49b0bd4e2#
check.id
kc4bdf6d5483a49b0bd4eYÈ…qSØ9êbcheck.event