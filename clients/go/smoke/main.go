// Smoke asks one question over gRPC, with nothing but what is generated from the contract.
//
// FOREBAY_SERVER is host:port, FOREBAY_TOKEN a bearer token, the first argument the question.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	query "forebay/gen/forebay/query/v1"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: smoke QUESTION")
	}
	if err := ask(os.Getenv("FOREBAY_SERVER"), os.Getenv("FOREBAY_TOKEN"), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func ask(server, token, question string) error {
	connection, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	request := &query.AskRequest{Query: &query.SubmitQueryRequest{Text: question}}
	events, err := query.NewQueryServiceClient(connection).Ask(ctx, request)
	if err != nil {
		return err
	}
	for {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(event); err != nil {
			return err
		}
	}
}

func show(event *query.AnswerEvent) error {
	switch step := event.GetEvent().(type) {
	case *query.AnswerEvent_Delta_:
		fmt.Print(step.Delta.GetText())
	case *query.AnswerEvent_Completed_:
		fmt.Println()
	case *query.AnswerEvent_Failed_:
		return fmt.Errorf("failed: %s", step.Failed.GetError().GetMessage())
	}
	return nil
}
