package forebay.smoke;

import forebay.query.v1.AnswerEventOuterClass.AnswerEvent;
import forebay.query.v1.QueryServiceGrpc;
import forebay.query.v1.QueryServiceOuterClass.AskRequest;
import forebay.query.v1.QueryServiceOuterClass.SubmitQueryRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

/**
 * Asks one question over gRPC, with nothing but what is generated from the contract.
 *
 * <p>FOREBAY_SERVER is host:port, FOREBAY_TOKEN a bearer token, the first argument the question.
 */
public final class Smoke {
  private Smoke() {}

  public static void main(String[] arguments) {
    if (arguments.length != 1) {
      throw new IllegalArgumentException("usage: Smoke QUESTION");
    }
    ManagedChannel channel =
        Grpc.newChannelBuilder(System.getenv("FOREBAY_SERVER"), InsecureChannelCredentials.create())
            .build();
    try {
      ask(channel, arguments[0]);
    } finally {
      channel.shutdownNow();
    }
  }

  private static void ask(ManagedChannel channel, String question) {
    Metadata metadata = new Metadata();
    metadata.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
        "Bearer " + System.getenv("FOREBAY_TOKEN"));
    Iterator<AnswerEvent> events =
        QueryServiceGrpc.newBlockingStub(channel)
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata))
            .withDeadlineAfter(1, TimeUnit.MINUTES)
            .ask(
                AskRequest.newBuilder()
                    .setQuery(SubmitQueryRequest.newBuilder().setText(question))
                    .build());
    events.forEachRemaining(Smoke::show);
  }

  private static void show(AnswerEvent event) {
    switch (event.getEventCase()) {
      case DELTA -> System.out.print(event.getDelta().getText());
      case COMPLETED -> System.out.println();
      case FAILED ->
          throw new IllegalStateException(event.getFailed().getError().getMessage());
      default -> {
        // The other steps are of no interest here.
      }
    }
  }
}
