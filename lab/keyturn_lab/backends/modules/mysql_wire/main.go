// A MySQL server in memory, for logins with caching_sha2_password and the grants of MySQL 8.
//
// It is started with the address to listen on and the files of its certificate and key. ROOT_PASSWORD in its environment is the password of the
// user root, who may come from 127.0.0.1 only.
package main

import (
	"crypto/tls"
	"log"
	"os"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/mysql_db"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatalf("usage: %s ADDRESS CERTIFICATE KEY", os.Args[0])
	}
	certificate, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	check(err)
	provider := memory.NewDBProvider()
	engine := sqle.NewDefault(provider)
	users := engine.Analyzer.Catalog.MySQLDb
	users.SetPersister(&mysql_db.NoopPersister{})
	editor := users.Editor()
	users.AddSuperUser(editor, "root", "127.0.0.1", os.Getenv("ROOT_PASSWORD"))
	editor.Close()
	config := server.Config{Protocol: "tcp", Address: os.Args[1], TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	listener, err := server.NewServer(config, engine, sql.NewContext, memory.NewSessionBuilder(provider), nil)
	check(err)
	check(listener.Start())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
