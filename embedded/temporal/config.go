package temporal

import (
	"net"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
)

const (
	// clusterName is written into the database when it is made; it must stay the same for its whole life.
	clusterName = "active"
	// unlimited stands for the server's rate limits, which protect a shared cluster and only delay a machine of one's own.
	unlimited = 1_000_000
	// connectionLifetime is how long the database connection lives. The server keeps its connections in a pool that it
	// never closes; an idle one that has outlived this is closed by database/sql, so that a stopped server lets go of the
	// file a few seconds later.
	connectionLifetime = 5 * time.Second
)

// serverConfig describes the four services: the frontend on addr, the others on free ports of the loopback interface.
func serverConfig(addr *net.TCPAddr) (*config.Config, map[primitives.ServiceName]static.Hosts, error) {
	cfg := &config.Config{
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: dialAddress(addr)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            map[string]config.Service{},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		// The system workers inside the server are clients of the frontend like any other.
		PublicClient: config.PublicClient{HostPort: dialAddress(addr)},
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, service := range []primitives.ServiceName{
		primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	} {
		listen := addr
		if service != primitives.FrontendService {
			var err error
			if listen, err = reservePort(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
				return nil, nil, err
			}
		}
		cfg.Services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: listen.Port, BindOnIP: listen.IP.String()}}
		// Hosts known from the start take the place of the gossip that services otherwise find each other with.
		hosts[service] = static.SingleLocalHost(dialAddress(listen))
	}
	return cfg, hosts, nil
}

// dialAddress is where a listener on addr is reached from this machine.
func dialAddress(addr *net.TCPAddr) string {
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

func persistenceConfig(store *config.SQL) config.Persistence {
	return config.Persistence{
		DefaultStore:     sqliteplugin.PluginName,
		VisibilityStore:  sqliteplugin.PluginName,
		NumHistoryShards: 1,
		DataStores:       map[string]config.DataStore{sqliteplugin.PluginName: {SQL: store}},
	}
}

// sqlConfig describes the SQLite database in the file, or one in memory when file is empty. Attribute names are those of
// SQLite's pragmas; with the underscore that other drivers want they would be silently ignored.
func sqlConfig(file string) *config.SQL {
	cfg := &config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: file,
		// More connections than one make it slower: all writers would queue inside SQLite, by polling.
		MaxConns:     1,
		MaxIdleConns: 1,
	}
	if file == "" {
		// The server keeps what it opened by name for the life of the process: each server needs its own name.
		cfg.DatabaseName = "assetflow-" + uuid.NewString()
		cfg.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
		return cfg
	}
	cfg.MaxConnLifetime = connectionLifetime
	cfg.ConnectAttributes = map[string]string{
		"mode":         "rwc",
		"journal_mode": "wal",
		"synchronous":  "1", // NORMAL
		"busy_timeout": "10000",
		// 16 MiB each: pages kept in memory, and how long the log grows before it is written back.
		"cache_size":         "-16384",
		"wal_autocheckpoint": "4000",
		"temp_store":         "2", // in memory
	}
	return cfg
}

// dynamicConfig holds the settings in which a server for one machine differs from a cluster.
func dynamicConfig() dynamicconfig.Client {
	return dynamicconfig.StaticClient{
		// The queue processors read their next tasks at most this often, 20 times a second by default: with one shard
		// every hop of a workflow would wait 50 ms for its turn.
		dynamicconfig.TransferProcessorMaxPollRPS.Key():   10_000,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():      10_000,
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key(): 10_000,
		dynamicconfig.OutboundProcessorMaxPollRPS.Key():   10_000,
		// One poller finds every task: nothing is forwarded from one partition of a task queue to another.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// Of two events in quick succession a caller who waits for the workflow's end may be told of the first only. It
		// then hears of the end when its long poll expires, after 20 s by default.
		dynamicconfig.HistoryLongPollExpirationInterval.Key(): time.Second,
		// The same workflow id may start again as soon as its last run has ended, not one second after it started.
		dynamicconfig.WorkflowIdReuseMinimalInterval.Key(): time.Duration(0),
		// A worker that stops gives back its polls, so that no task is handed to it any more and lost until a timeout.
		dynamicconfig.EnableCancelWorkerPollsOnShutdown.Key(): true,
		// A version of the workers on which nothing runs any more is known to be drained within seconds; the defaults are for
		// a visibility store that lags behind by minutes.
		dynamicconfig.VersionDrainageStatusVisibilityGracePeriod.Key(): 2 * time.Second,
		dynamicconfig.VersionDrainageStatusRefreshInterval.Key():       2 * time.Second,
		// Workflows kept in memory, tens of KiB each; the default is for a machine that does nothing else.
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key(): 2_000,

		dynamicconfig.FrontendRPS.Key():                                  unlimited,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():           unlimited,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): unlimited,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                    unlimited,
		dynamicconfig.HistoryRPS.Key():                                   unlimited,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                     unlimited,
		dynamicconfig.MatchingRPS.Key():                                  unlimited,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                    unlimited,
		dynamicconfig.VisibilityPersistenceMaxReadQPS.Key():              unlimited,
		dynamicconfig.VisibilityPersistenceMaxWriteQPS.Key():             unlimited,

		// Background sweeps for what a cluster leaves behind in years, and a helper for workflows with many children. Their
		// workers poll with 64 calls at a time, and the server does not end them when it stops.
		dynamicconfig.TaskQueueScannerEnabled.Key():       false,
		dynamicconfig.HistoryScannerEnabled.Key():         false,
		dynamicconfig.EnableParentClosePolicyWorker.Key(): false,

		// No question to a server on the internet whether there is a newer version.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
		// Nobody here keeps payloads outside. To count them, the server writes to events that it may be answering with.
		dynamicconfig.ExternalPayloadsEnabled.Key(): false,
	}
}
