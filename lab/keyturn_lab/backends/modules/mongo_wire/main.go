// A server that speaks MongoDB's protocol, with SQLite below it: FerretDB with its logins, which its embeddable package leaves out.
//
// It is started with the address to listen on and a folder for its data; with the files of a certificate and its key besides, it takes TLS only.
// ROOT_PASSWORD in its environment is the password of the user root of the database admin. REPLICA_SET, if given, is the name of the replica
// set of which it says that it is the only member.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/FerretDB/FerretDB/internal/clientconn"
	"github.com/FerretDB/FerretDB/internal/clientconn/connmetrics"
	"github.com/FerretDB/FerretDB/internal/handler/registry"
	"github.com/FerretDB/FerretDB/internal/util/password"
	"github.com/FerretDB/FerretDB/internal/util/state"
)

func main() {
	if len(os.Args) != 3 && len(os.Args) != 5 {
		log.Fatalf("usage: %s ADDRESS FOLDER [CERTIFICATE KEY]", os.Args[0])
	}
	address, folder := os.Args[1], os.Args[2]
	provider, err := state.NewProvider("")
	check(err)
	check(provider.Update(func(s *state.State) {
		s.DisableTelemetry()
		s.TelemetryLocked = true
	}))
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	metrics := connmetrics.NewListenerMetrics()
	handler, closeBackend, err := registry.NewHandler("sqlite", &registry.NewHandlerOpts{
		Logger:        logger,
		ConnMetrics:   metrics.ConnMetrics,
		StateProvider: provider,
		TCPHost:       address,
		ReplSetName:   os.Getenv("REPLICA_SET"),
		SetupDatabase: "admin",
		SetupUsername: "root",
		SetupPassword: password.WrapPassword(os.Getenv("ROOT_PASSWORD")),
		SetupTimeout:  time.Minute,
		SQLiteURL:     "file:" + folder + "/",
		TestOpts:      registry.TestOpts{EnableNewAuth: true, CappedCleanupPercentage: 10, BatchSize: 100},
	})
	check(err)
	defer closeBackend()
	options := clientconn.NewListenerOpts{Mode: clientconn.NormalMode, Metrics: metrics, Handler: handler, Logger: logger}
	if len(os.Args) == 5 {
		options.TLS, options.TLSCertFile, options.TLSKeyFile = address, os.Args[3], os.Args[4]
	} else {
		options.TCP = address
	}
	listener, err := clientconn.Listen(&options)
	check(err)
	listener.Run(context.Background())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
