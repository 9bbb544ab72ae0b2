// Made by tools/generate-cri-descriptor.ts from packages/runtime-cri/proto. Do not edit.

/** The messages and services, in the JSON form of protobufjs. */
export const criDescriptor = {
 "nested": {
  "containerd": {
   "nested": {
    "services": {
     "nested": {
      "events": {
       "nested": {
        "v1": {
         "nested": {
          "Events": {
           "methods": {
            "Subscribe": {
             "requestType": "SubscribeRequest",
             "responseType": "Envelope",
             "responseStream": true
            }
           }
          },
          "SubscribeRequest": {
           "fields": {
            "filters": {
             "rule": "repeated",
             "type": "string",
             "id": 1
            }
           }
          },
          "AnyEvent": {
           "fields": {
            "typeUrl": {
             "type": "string",
             "id": 1,
             "protoName": "type_url"
            },
            "value": {
             "type": "bytes",
             "id": 2
            }
           }
          },
          "Envelope": {
           "fields": {
            "namespace": {
             "type": "string",
             "id": 2
            },
            "topic": {
             "type": "string",
             "id": 3
            },
            "event": {
             "type": "AnyEvent",
             "id": 4
            }
           }
          }
         }
        }
       }
      }
     }
    },
    "events": {
     "nested": {
      "TaskStart": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "pid": {
         "type": "uint32",
         "id": 2
        }
       }
      },
      "TaskExit": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "id": {
         "type": "string",
         "id": 2
        },
        "pid": {
         "type": "uint32",
         "id": 3
        },
        "exitStatus": {
         "type": "uint32",
         "id": 4,
         "protoName": "exit_status"
        }
       }
      },
      "TaskOOM": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        }
       }
      },
      "TaskDelete": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "pid": {
         "type": "uint32",
         "id": 2
        },
        "exitStatus": {
         "type": "uint32",
         "id": 3,
         "protoName": "exit_status"
        },
        "id": {
         "type": "string",
         "id": 5
        }
       }
      }
     }
    }
   }
  },
  "runtime": {
   "nested": {
    "v1": {
     "nested": {
      "RuntimeService": {
       "methods": {
        "Version": {
         "requestType": "VersionRequest",
         "responseType": "VersionResponse"
        },
        "Status": {
         "requestType": "StatusRequest",
         "responseType": "StatusResponse"
        },
        "RunPodSandbox": {
         "requestType": "RunPodSandboxRequest",
         "responseType": "RunPodSandboxResponse"
        },
        "StopPodSandbox": {
         "requestType": "StopPodSandboxRequest",
         "responseType": "StopPodSandboxResponse"
        },
        "RemovePodSandbox": {
         "requestType": "RemovePodSandboxRequest",
         "responseType": "RemovePodSandboxResponse"
        },
        "PodSandboxStatus": {
         "requestType": "PodSandboxStatusRequest",
         "responseType": "PodSandboxStatusResponse"
        },
        "ListPodSandbox": {
         "requestType": "ListPodSandboxRequest",
         "responseType": "ListPodSandboxResponse"
        },
        "CreateContainer": {
         "requestType": "CreateContainerRequest",
         "responseType": "CreateContainerResponse"
        },
        "StartContainer": {
         "requestType": "StartContainerRequest",
         "responseType": "StartContainerResponse"
        },
        "StopContainer": {
         "requestType": "StopContainerRequest",
         "responseType": "StopContainerResponse"
        },
        "RemoveContainer": {
         "requestType": "RemoveContainerRequest",
         "responseType": "RemoveContainerResponse"
        },
        "ListContainers": {
         "requestType": "ListContainersRequest",
         "responseType": "ListContainersResponse"
        },
        "ContainerStatus": {
         "requestType": "ContainerStatusRequest",
         "responseType": "ContainerStatusResponse"
        },
        "UpdateContainerResources": {
         "requestType": "UpdateContainerResourcesRequest",
         "responseType": "UpdateContainerResourcesResponse"
        },
        "ReopenContainerLog": {
         "requestType": "ReopenContainerLogRequest",
         "responseType": "ReopenContainerLogResponse"
        },
        "ExecSync": {
         "requestType": "ExecSyncRequest",
         "responseType": "ExecSyncResponse"
        },
        "Exec": {
         "requestType": "ExecRequest",
         "responseType": "ExecResponse"
        },
        "Attach": {
         "requestType": "AttachRequest",
         "responseType": "AttachResponse"
        },
        "PortForward": {
         "requestType": "PortForwardRequest",
         "responseType": "PortForwardResponse"
        },
        "ListContainerStats": {
         "requestType": "ListContainerStatsRequest",
         "responseType": "ListContainerStatsResponse"
        }
       }
      },
      "ImageService": {
       "methods": {
        "ListImages": {
         "requestType": "ListImagesRequest",
         "responseType": "ListImagesResponse"
        },
        "ImageStatus": {
         "requestType": "ImageStatusRequest",
         "responseType": "ImageStatusResponse"
        },
        "PullImage": {
         "requestType": "PullImageRequest",
         "responseType": "PullImageResponse"
        },
        "RemoveImage": {
         "requestType": "RemoveImageRequest",
         "responseType": "RemoveImageResponse"
        }
       }
      },
      "VersionRequest": {
       "fields": {
        "version": {
         "type": "string",
         "id": 1
        }
       }
      },
      "VersionResponse": {
       "fields": {
        "version": {
         "type": "string",
         "id": 1
        },
        "runtimeName": {
         "type": "string",
         "id": 2,
         "protoName": "runtime_name"
        },
        "runtimeVersion": {
         "type": "string",
         "id": 3,
         "protoName": "runtime_version"
        },
        "runtimeApiVersion": {
         "type": "string",
         "id": 4,
         "protoName": "runtime_api_version"
        }
       }
      },
      "StatusRequest": {
       "fields": {
        "verbose": {
         "type": "bool",
         "id": 1
        }
       }
      },
      "StatusResponse": {
       "fields": {
        "status": {
         "type": "RuntimeStatus",
         "id": 1
        },
        "info": {
         "keyType": "string",
         "type": "string",
         "id": 2
        }
       }
      },
      "RuntimeStatus": {
       "fields": {
        "conditions": {
         "rule": "repeated",
         "type": "RuntimeCondition",
         "id": 1
        }
       }
      },
      "RuntimeCondition": {
       "fields": {
        "type": {
         "type": "string",
         "id": 1
        },
        "status": {
         "type": "bool",
         "id": 2
        },
        "reason": {
         "type": "string",
         "id": 3
        },
        "message": {
         "type": "string",
         "id": 4
        }
       }
      },
      "Protocol": {
       "values": {
        "TCP": 0,
        "UDP": 1,
        "SCTP": 2
       }
      },
      "NamespaceMode": {
       "values": {
        "POD": 0,
        "CONTAINER": 1,
        "NODE": 2,
        "TARGET": 3
       }
      },
      "PodSandboxState": {
       "values": {
        "SANDBOX_READY": 0,
        "SANDBOX_NOTREADY": 1
       }
      },
      "PodSandboxMetadata": {
       "fields": {
        "name": {
         "type": "string",
         "id": 1
        },
        "uid": {
         "type": "string",
         "id": 2
        },
        "namespace": {
         "type": "string",
         "id": 3
        },
        "attempt": {
         "type": "uint32",
         "id": 4
        }
       }
      },
      "DNSConfig": {
       "fields": {
        "servers": {
         "rule": "repeated",
         "type": "string",
         "id": 1
        },
        "searches": {
         "rule": "repeated",
         "type": "string",
         "id": 2
        },
        "options": {
         "rule": "repeated",
         "type": "string",
         "id": 3
        }
       }
      },
      "PortMapping": {
       "fields": {
        "protocol": {
         "type": "Protocol",
         "id": 1
        },
        "containerPort": {
         "type": "int32",
         "id": 2,
         "protoName": "container_port"
        },
        "hostPort": {
         "type": "int32",
         "id": 3,
         "protoName": "host_port"
        },
        "hostIp": {
         "type": "string",
         "id": 4,
         "protoName": "host_ip"
        }
       }
      },
      "Int64Value": {
       "fields": {
        "value": {
         "type": "int64",
         "id": 1
        }
       }
      },
      "UInt64Value": {
       "fields": {
        "value": {
         "type": "uint64",
         "id": 1
        }
       }
      },
      "NamespaceOption": {
       "fields": {
        "network": {
         "type": "NamespaceMode",
         "id": 1
        },
        "pid": {
         "type": "NamespaceMode",
         "id": 2
        },
        "ipc": {
         "type": "NamespaceMode",
         "id": 3
        },
        "targetId": {
         "type": "string",
         "id": 4,
         "protoName": "target_id"
        }
       }
      },
      "SecurityProfile": {
       "fields": {
        "profileType": {
         "type": "ProfileType",
         "id": 1,
         "protoName": "profile_type"
        },
        "localhostRef": {
         "type": "string",
         "id": 2,
         "protoName": "localhost_ref"
        }
       },
       "nested": {
        "ProfileType": {
         "values": {
          "RuntimeDefault": 0,
          "Unconfined": 1,
          "Localhost": 2
         }
        }
       }
      },
      "LinuxSandboxSecurityContext": {
       "fields": {
        "namespaceOptions": {
         "type": "NamespaceOption",
         "id": 1,
         "protoName": "namespace_options"
        },
        "runAsUser": {
         "type": "Int64Value",
         "id": 3,
         "protoName": "run_as_user"
        },
        "readonlyRootfs": {
         "type": "bool",
         "id": 4,
         "protoName": "readonly_rootfs"
        },
        "supplementalGroups": {
         "rule": "repeated",
         "type": "int64",
         "id": 5,
         "protoName": "supplemental_groups"
        },
        "privileged": {
         "type": "bool",
         "id": 6
        },
        "runAsGroup": {
         "type": "Int64Value",
         "id": 8,
         "protoName": "run_as_group"
        },
        "seccomp": {
         "type": "SecurityProfile",
         "id": 9
        }
       }
      },
      "LinuxPodSandboxConfig": {
       "fields": {
        "cgroupParent": {
         "type": "string",
         "id": 1,
         "protoName": "cgroup_parent"
        },
        "securityContext": {
         "type": "LinuxSandboxSecurityContext",
         "id": 2,
         "protoName": "security_context"
        },
        "sysctls": {
         "keyType": "string",
         "type": "string",
         "id": 3
        }
       }
      },
      "PodSandboxConfig": {
       "fields": {
        "metadata": {
         "type": "PodSandboxMetadata",
         "id": 1
        },
        "hostname": {
         "type": "string",
         "id": 2
        },
        "logDirectory": {
         "type": "string",
         "id": 3,
         "protoName": "log_directory"
        },
        "dnsConfig": {
         "type": "DNSConfig",
         "id": 4,
         "protoName": "dns_config"
        },
        "portMappings": {
         "rule": "repeated",
         "type": "PortMapping",
         "id": 5,
         "protoName": "port_mappings"
        },
        "labels": {
         "keyType": "string",
         "type": "string",
         "id": 6
        },
        "annotations": {
         "keyType": "string",
         "type": "string",
         "id": 7
        },
        "linux": {
         "type": "LinuxPodSandboxConfig",
         "id": 8
        }
       }
      },
      "RunPodSandboxRequest": {
       "fields": {
        "config": {
         "type": "PodSandboxConfig",
         "id": 1
        },
        "runtimeHandler": {
         "type": "string",
         "id": 2,
         "protoName": "runtime_handler"
        }
       }
      },
      "RunPodSandboxResponse": {
       "fields": {
        "podSandboxId": {
         "type": "string",
         "id": 1,
         "protoName": "pod_sandbox_id"
        }
       }
      },
      "StopPodSandboxRequest": {
       "fields": {
        "podSandboxId": {
         "type": "string",
         "id": 1,
         "protoName": "pod_sandbox_id"
        }
       }
      },
      "StopPodSandboxResponse": {
       "fields": {}
      },
      "RemovePodSandboxRequest": {
       "fields": {
        "podSandboxId": {
         "type": "string",
         "id": 1,
         "protoName": "pod_sandbox_id"
        }
       }
      },
      "RemovePodSandboxResponse": {
       "fields": {}
      },
      "PodSandboxStatusRequest": {
       "fields": {
        "podSandboxId": {
         "type": "string",
         "id": 1,
         "protoName": "pod_sandbox_id"
        },
        "verbose": {
         "type": "bool",
         "id": 2
        }
       }
      },
      "PodIP": {
       "fields": {
        "ip": {
         "type": "string",
         "id": 1
        }
       }
      },
      "PodSandboxNetworkStatus": {
       "fields": {
        "ip": {
         "type": "string",
         "id": 1
        },
        "additionalIps": {
         "rule": "repeated",
         "type": "PodIP",
         "id": 2,
         "protoName": "additional_ips"
        }
       }
      },
      "PodSandboxStatus": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        },
        "metadata": {
         "type": "PodSandboxMetadata",
         "id": 2
        },
        "state": {
         "type": "PodSandboxState",
         "id": 3
        },
        "createdAt": {
         "type": "int64",
         "id": 4,
         "protoName": "created_at"
        },
        "network": {
         "type": "PodSandboxNetworkStatus",
         "id": 5
        },
        "labels": {
         "keyType": "string",
         "type": "string",
         "id": 7
        },
        "annotations": {
         "keyType": "string",
         "type": "string",
         "id": 8
        }
       }
      },
      "PodSandboxStatusResponse": {
       "fields": {
        "status": {
         "type": "PodSandboxStatus",
         "id": 1
        }
       }
      },
      "PodSandboxFilter": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        },
        "labelSelector": {
         "keyType": "string",
         "type": "string",
         "id": 3,
         "protoName": "label_selector"
        }
       }
      },
      "ListPodSandboxRequest": {
       "fields": {
        "filter": {
         "type": "PodSandboxFilter",
         "id": 1
        }
       }
      },
      "PodSandbox": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        },
        "metadata": {
         "type": "PodSandboxMetadata",
         "id": 2
        },
        "state": {
         "type": "PodSandboxState",
         "id": 3
        },
        "createdAt": {
         "type": "int64",
         "id": 4,
         "protoName": "created_at"
        },
        "labels": {
         "keyType": "string",
         "type": "string",
         "id": 5
        },
        "annotations": {
         "keyType": "string",
         "type": "string",
         "id": 6
        }
       }
      },
      "ListPodSandboxResponse": {
       "fields": {
        "items": {
         "rule": "repeated",
         "type": "PodSandbox",
         "id": 1
        }
       }
      },
      "MountPropagation": {
       "values": {
        "PROPAGATION_PRIVATE": 0,
        "PROPAGATION_HOST_TO_CONTAINER": 1,
        "PROPAGATION_BIDIRECTIONAL": 2
       }
      },
      "ContainerState": {
       "values": {
        "CONTAINER_CREATED": 0,
        "CONTAINER_RUNNING": 1,
        "CONTAINER_EXITED": 2,
        "CONTAINER_UNKNOWN": 3
       }
      },
      "Mount": {
       "fields": {
        "containerPath": {
         "type": "string",
         "id": 1,
         "protoName": "container_path"
        },
        "hostPath": {
         "type": "string",
         "id": 2,
         "protoName": "host_path"
        },
        "readonly": {
         "type": "bool",
         "id": 3
        },
        "propagation": {
         "type": "MountPropagation",
         "id": 5
        }
       }
      },
      "KeyValue": {
       "fields": {
        "key": {
         "type": "string",
         "id": 1
        },
        "value": {
         "type": "string",
         "id": 2
        }
       }
      },
      "LinuxContainerResources": {
       "fields": {
        "cpuPeriod": {
         "type": "int64",
         "id": 1,
         "protoName": "cpu_period"
        },
        "cpuQuota": {
         "type": "int64",
         "id": 2,
         "protoName": "cpu_quota"
        },
        "cpuShares": {
         "type": "int64",
         "id": 3,
         "protoName": "cpu_shares"
        },
        "memoryLimitInBytes": {
         "type": "int64",
         "id": 4,
         "protoName": "memory_limit_in_bytes"
        },
        "oomScoreAdj": {
         "type": "int64",
         "id": 5,
         "protoName": "oom_score_adj"
        }
       }
      },
      "Capability": {
       "fields": {
        "addCapabilities": {
         "rule": "repeated",
         "type": "string",
         "id": 1,
         "protoName": "add_capabilities"
        },
        "dropCapabilities": {
         "rule": "repeated",
         "type": "string",
         "id": 2,
         "protoName": "drop_capabilities"
        }
       }
      },
      "LinuxContainerSecurityContext": {
       "fields": {
        "capabilities": {
         "type": "Capability",
         "id": 1
        },
        "privileged": {
         "type": "bool",
         "id": 2
        },
        "namespaceOptions": {
         "type": "NamespaceOption",
         "id": 3,
         "protoName": "namespace_options"
        },
        "runAsUser": {
         "type": "Int64Value",
         "id": 5,
         "protoName": "run_as_user"
        },
        "runAsUsername": {
         "type": "string",
         "id": 6,
         "protoName": "run_as_username"
        },
        "readonlyRootfs": {
         "type": "bool",
         "id": 7,
         "protoName": "readonly_rootfs"
        },
        "supplementalGroups": {
         "rule": "repeated",
         "type": "int64",
         "id": 8,
         "protoName": "supplemental_groups"
        },
        "noNewPrivs": {
         "type": "bool",
         "id": 11,
         "protoName": "no_new_privs"
        },
        "runAsGroup": {
         "type": "Int64Value",
         "id": 12,
         "protoName": "run_as_group"
        },
        "maskedPaths": {
         "rule": "repeated",
         "type": "string",
         "id": 13,
         "protoName": "masked_paths"
        },
        "readonlyPaths": {
         "rule": "repeated",
         "type": "string",
         "id": 14,
         "protoName": "readonly_paths"
        },
        "seccomp": {
         "type": "SecurityProfile",
         "id": 15
        }
       }
      },
      "LinuxContainerConfig": {
       "fields": {
        "resources": {
         "type": "LinuxContainerResources",
         "id": 1
        },
        "securityContext": {
         "type": "LinuxContainerSecurityContext",
         "id": 2,
         "protoName": "security_context"
        }
       }
      },
      "ContainerMetadata": {
       "fields": {
        "name": {
         "type": "string",
         "id": 1
        },
        "attempt": {
         "type": "uint32",
         "id": 2
        }
       }
      },
      "ImageSpec": {
       "fields": {
        "image": {
         "type": "string",
         "id": 1
        }
       }
      },
      "ContainerConfig": {
       "fields": {
        "metadata": {
         "type": "ContainerMetadata",
         "id": 1
        },
        "image": {
         "type": "ImageSpec",
         "id": 2
        },
        "command": {
         "rule": "repeated",
         "type": "string",
         "id": 3
        },
        "args": {
         "rule": "repeated",
         "type": "string",
         "id": 4
        },
        "workingDir": {
         "type": "string",
         "id": 5,
         "protoName": "working_dir"
        },
        "envs": {
         "rule": "repeated",
         "type": "KeyValue",
         "id": 6
        },
        "mounts": {
         "rule": "repeated",
         "type": "Mount",
         "id": 7
        },
        "labels": {
         "keyType": "string",
         "type": "string",
         "id": 9
        },
        "annotations": {
         "keyType": "string",
         "type": "string",
         "id": 10
        },
        "logPath": {
         "type": "string",
         "id": 11,
         "protoName": "log_path"
        },
        "stdin": {
         "type": "bool",
         "id": 12
        },
        "stdinOnce": {
         "type": "bool",
         "id": 13,
         "protoName": "stdin_once"
        },
        "tty": {
         "type": "bool",
         "id": 14
        },
        "linux": {
         "type": "LinuxContainerConfig",
         "id": 15
        }
       }
      },
      "CreateContainerRequest": {
       "fields": {
        "podSandboxId": {
         "type": "string",
         "id": 1,
         "protoName": "pod_sandbox_id"
        },
        "config": {
         "type": "ContainerConfig",
         "id": 2
        },
        "sandboxConfig": {
         "type": "PodSandboxConfig",
         "id": 3,
         "protoName": "sandbox_config"
        }
       }
      },
      "CreateContainerResponse": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        }
       }
      },
      "StartContainerRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        }
       }
      },
      "StartContainerResponse": {
       "fields": {}
      },
      "StopContainerRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "timeout": {
         "type": "int64",
         "id": 2
        }
       }
      },
      "StopContainerResponse": {
       "fields": {}
      },
      "RemoveContainerRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        }
       }
      },
      "RemoveContainerResponse": {
       "fields": {}
      },
      "ContainerFilter": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        },
        "podSandboxId": {
         "type": "string",
         "id": 3,
         "protoName": "pod_sandbox_id"
        },
        "labelSelector": {
         "keyType": "string",
         "type": "string",
         "id": 4,
         "protoName": "label_selector"
        }
       }
      },
      "ListContainersRequest": {
       "fields": {
        "filter": {
         "type": "ContainerFilter",
         "id": 1
        }
       }
      },
      "Container": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        },
        "podSandboxId": {
         "type": "string",
         "id": 2,
         "protoName": "pod_sandbox_id"
        },
        "metadata": {
         "type": "ContainerMetadata",
         "id": 3
        },
        "image": {
         "type": "ImageSpec",
         "id": 4
        },
        "imageRef": {
         "type": "string",
         "id": 5,
         "protoName": "image_ref"
        },
        "state": {
         "type": "ContainerState",
         "id": 6
        },
        "createdAt": {
         "type": "int64",
         "id": 7,
         "protoName": "created_at"
        },
        "labels": {
         "keyType": "string",
         "type": "string",
         "id": 8
        },
        "annotations": {
         "keyType": "string",
         "type": "string",
         "id": 9
        }
       }
      },
      "ListContainersResponse": {
       "fields": {
        "containers": {
         "rule": "repeated",
         "type": "Container",
         "id": 1
        }
       }
      },
      "ContainerStatusRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "verbose": {
         "type": "bool",
         "id": 2
        }
       }
      },
      "ContainerStatus": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        },
        "metadata": {
         "type": "ContainerMetadata",
         "id": 2
        },
        "state": {
         "type": "ContainerState",
         "id": 3
        },
        "createdAt": {
         "type": "int64",
         "id": 4,
         "protoName": "created_at"
        },
        "startedAt": {
         "type": "int64",
         "id": 5,
         "protoName": "started_at"
        },
        "finishedAt": {
         "type": "int64",
         "id": 6,
         "protoName": "finished_at"
        },
        "exitCode": {
         "type": "int32",
         "id": 7,
         "protoName": "exit_code"
        },
        "image": {
         "type": "ImageSpec",
         "id": 8
        },
        "imageRef": {
         "type": "string",
         "id": 9,
         "protoName": "image_ref"
        },
        "reason": {
         "type": "string",
         "id": 10
        },
        "message": {
         "type": "string",
         "id": 11
        },
        "labels": {
         "keyType": "string",
         "type": "string",
         "id": 12
        },
        "annotations": {
         "keyType": "string",
         "type": "string",
         "id": 13
        }
       }
      },
      "ContainerStatusResponse": {
       "fields": {
        "status": {
         "type": "ContainerStatus",
         "id": 1
        }
       }
      },
      "UpdateContainerResourcesRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "linux": {
         "type": "LinuxContainerResources",
         "id": 2
        }
       }
      },
      "UpdateContainerResourcesResponse": {
       "fields": {}
      },
      "ReopenContainerLogRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        }
       }
      },
      "ReopenContainerLogResponse": {
       "fields": {}
      },
      "ExecSyncRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "cmd": {
         "rule": "repeated",
         "type": "string",
         "id": 2
        },
        "timeout": {
         "type": "int64",
         "id": 3
        }
       }
      },
      "ExecSyncResponse": {
       "fields": {
        "stdout": {
         "type": "bytes",
         "id": 1
        },
        "stderr": {
         "type": "bytes",
         "id": 2
        },
        "exitCode": {
         "type": "int32",
         "id": 3,
         "protoName": "exit_code"
        }
       }
      },
      "ExecRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "cmd": {
         "rule": "repeated",
         "type": "string",
         "id": 2
        },
        "tty": {
         "type": "bool",
         "id": 3
        },
        "stdin": {
         "type": "bool",
         "id": 4
        },
        "stdout": {
         "type": "bool",
         "id": 5
        },
        "stderr": {
         "type": "bool",
         "id": 6
        }
       }
      },
      "ExecResponse": {
       "fields": {
        "url": {
         "type": "string",
         "id": 1
        }
       }
      },
      "AttachRequest": {
       "fields": {
        "containerId": {
         "type": "string",
         "id": 1,
         "protoName": "container_id"
        },
        "stdin": {
         "type": "bool",
         "id": 2
        },
        "tty": {
         "type": "bool",
         "id": 3
        },
        "stdout": {
         "type": "bool",
         "id": 4
        },
        "stderr": {
         "type": "bool",
         "id": 5
        }
       }
      },
      "AttachResponse": {
       "fields": {
        "url": {
         "type": "string",
         "id": 1
        }
       }
      },
      "PortForwardRequest": {
       "fields": {
        "podSandboxId": {
         "type": "string",
         "id": 1,
         "protoName": "pod_sandbox_id"
        },
        "port": {
         "rule": "repeated",
         "type": "int32",
         "id": 2
        }
       }
      },
      "PortForwardResponse": {
       "fields": {
        "url": {
         "type": "string",
         "id": 1
        }
       }
      },
      "ContainerStatsFilter": {
       "fields": {
        "labelSelector": {
         "keyType": "string",
         "type": "string",
         "id": 3,
         "protoName": "label_selector"
        }
       }
      },
      "ListContainerStatsRequest": {
       "fields": {
        "filter": {
         "type": "ContainerStatsFilter",
         "id": 1
        }
       }
      },
      "ListContainerStatsResponse": {
       "fields": {
        "stats": {
         "rule": "repeated",
         "type": "ContainerStats",
         "id": 1
        }
       }
      },
      "ContainerAttributes": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        }
       }
      },
      "ContainerStats": {
       "fields": {
        "attributes": {
         "type": "ContainerAttributes",
         "id": 1
        },
        "cpu": {
         "type": "CpuUsage",
         "id": 2
        },
        "memory": {
         "type": "MemoryUsage",
         "id": 3
        }
       }
      },
      "CpuUsage": {
       "fields": {
        "timestamp": {
         "type": "int64",
         "id": 1
        },
        "usageCoreNanoSeconds": {
         "type": "UInt64Value",
         "id": 2,
         "protoName": "usage_core_nano_seconds"
        }
       }
      },
      "MemoryUsage": {
       "fields": {
        "timestamp": {
         "type": "int64",
         "id": 1
        },
        "workingSetBytes": {
         "type": "UInt64Value",
         "id": 2,
         "protoName": "working_set_bytes"
        }
       }
      },
      "ImageFilter": {
       "fields": {
        "image": {
         "type": "ImageSpec",
         "id": 1
        }
       }
      },
      "ListImagesRequest": {
       "fields": {
        "filter": {
         "type": "ImageFilter",
         "id": 1
        }
       }
      },
      "Image": {
       "fields": {
        "id": {
         "type": "string",
         "id": 1
        },
        "repoTags": {
         "rule": "repeated",
         "type": "string",
         "id": 2,
         "protoName": "repo_tags"
        },
        "repoDigests": {
         "rule": "repeated",
         "type": "string",
         "id": 3,
         "protoName": "repo_digests"
        },
        "size": {
         "type": "uint64",
         "id": 4
        },
        "uid": {
         "type": "Int64Value",
         "id": 5
        },
        "username": {
         "type": "string",
         "id": 6
        }
       }
      },
      "ListImagesResponse": {
       "fields": {
        "images": {
         "rule": "repeated",
         "type": "Image",
         "id": 1
        }
       }
      },
      "ImageStatusRequest": {
       "fields": {
        "image": {
         "type": "ImageSpec",
         "id": 1
        },
        "verbose": {
         "type": "bool",
         "id": 2
        }
       }
      },
      "ImageStatusResponse": {
       "fields": {
        "image": {
         "type": "Image",
         "id": 1
        }
       }
      },
      "AuthConfig": {
       "fields": {
        "username": {
         "type": "string",
         "id": 1
        },
        "password": {
         "type": "string",
         "id": 2
        },
        "auth": {
         "type": "string",
         "id": 3
        },
        "serverAddress": {
         "type": "string",
         "id": 4,
         "protoName": "server_address"
        },
        "identityToken": {
         "type": "string",
         "id": 5,
         "protoName": "identity_token"
        },
        "registryToken": {
         "type": "string",
         "id": 6,
         "protoName": "registry_token"
        }
       }
      },
      "PullImageRequest": {
       "fields": {
        "image": {
         "type": "ImageSpec",
         "id": 1
        },
        "auth": {
         "type": "AuthConfig",
         "id": 2
        },
        "sandboxConfig": {
         "type": "PodSandboxConfig",
         "id": 3,
         "protoName": "sandbox_config"
        }
       }
      },
      "PullImageResponse": {
       "fields": {
        "imageRef": {
         "type": "string",
         "id": 1,
         "protoName": "image_ref"
        }
       }
      },
      "RemoveImageRequest": {
       "fields": {
        "image": {
         "type": "ImageSpec",
         "id": 1
        }
       }
      },
      "RemoveImageResponse": {
       "fields": {}
      }
     }
    }
   }
  }
 }
}
