/* The control socket: see control.h. */
#include "node/host/control.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/http/utf8.h"
#include "node/log.h"

#define CONNECTIONS_MAX 8u
#define REQUEST_SIZE_BYTES_MAX 4096u
#define PAGE_TEXT_CHARACTERS_MAX 300u
#define PATIENCE_MS 30000u

struct connection {
    struct control *control;
    uv_pipe_t pipe;
    uv_timer_t timer;
    uv_write_t write;
    char request[REQUEST_SIZE_BYTES_MAX];
    size_t request_size_bytes;
    char *answer;
    bool closing;
    unsigned handles_open;
    /* Of a page: its outcomes so far. The connection stays until the last has come. */
    json_t *outcomes;
    size_t pages_left;
    struct token_asked *token_asked; /* NULL: none is under way */
    struct connection *next;
};

/* The connection may be gone, NULL, when the token comes. */
struct token_asked {
    struct connection *connection;
};

struct control {
    struct engine *engine;
    uv_pipe_t listener;
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
    struct connection *connections;
    unsigned connections_count;
    bool closing, listener_closed;
    void (*closed)(void *context);
    void *closed_context;
};

/* ---- the end of a connection, and of all */

static void maybe_closed(struct control *control) {
    if (!control->closing || !control->listener_closed || control->connections != NULL) return;
    void (*closed)(void *context) = control->closed;
    void *context = control->closed_context;
    free(control);
    closed(context);
}

static void maybe_free(struct connection *connection) {
    if (connection->handles_open > 0 || (connection->pages_left > 0 && !connection->control->closing)) return;
    struct control *control = connection->control;
    struct connection **link = &control->connections;
    while (*link != connection) link = &(*link)->next;
    *link = connection->next;
    control->connections_count--;
    if (connection->token_asked != NULL) connection->token_asked->connection = NULL;
    json_decref(connection->outcomes);
    free(connection->answer);
    free(connection);
    maybe_closed(control);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct connection *connection = handle->data;
    connection->handles_open--;
    maybe_free(connection);
}

static void connection_close(struct connection *connection) {
    if (connection->closing) return;
    connection->closing = true;
    uv_close((uv_handle_t *)&connection->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

static void on_patience(uv_timer_t *timer) { connection_close(timer->data); }

/* ---- answers */

static void on_written(uv_write_t *write, int status) {
    (void)status;
    connection_close(write->data);
}

/* Takes the JSON over. */
static void answer(struct connection *connection, json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL) abort();
    if (connection->closing) {
        free(text);
        return;
    }
    size_t length = strlen(text);
    text[length] = '\n'; /* in the place of the NUL */
    connection->answer = text;
    connection->write.data = connection;
    uv_buf_t buffer = uv_buf_init(text, (unsigned)length + 1);
    if (uv_write(&connection->write, (uv_stream_t *)&connection->pipe, &buffer, 1, on_written) != 0) connection_close(connection);
}

static void refuse(struct connection *connection, const char *sentence) { answer(connection, json_pack("{s:s}", "error", sentence)); }

/* ---- pages by hand */

static void on_paged(void *context, const Tocsin__Notification *notification, const char *provider, Tocsin__Outcome outcome, const char *detail) {
    struct connection *connection = context;
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&tocsin__outcome__descriptor, outcome);
    assert(connection->pages_left > 0 && value != NULL);
    json_array_append_new(connection->outcomes, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", notification->user_name, "provider", provider, "address",
                                                          notification->address, "outcome", value->name + strlen("OUTCOME_"), "detail", detail));
    if (--connection->pages_left > 0) return;
    answer(connection, json_pack("{s:O}", "pages", connection->outcomes));
    maybe_free(connection);
}

static void page(struct connection *connection, const json_t *request) {
    const char *who = json_string_value(json_object_get(request, "who")), *text = json_string_value(json_object_get(request, "text"));
    size_t characters = 0;
    if (who == NULL || text == NULL || text[0] == '\0' || !utf8_count(text, strlen(text), &characters) || characters > PAGE_TEXT_CHARACTERS_MAX) {
        refuse(connection, "A page needs \"who\", a guardian's name or \"all\", and \"text\", at most 300 characters.");
        return;
    }
    struct engine *engine = connection->control->engine;
    connection->outcomes = json_array();
    connection->pages_left = engine_guardian_ways(engine, who);
    if (connection->pages_left == 0)
        refuse(connection, "This node's configuration has no guardian of that name.");
    else
        engine_page_guardians(engine, who, text, on_paged, connection); /* the last outcome may come from inside */
}

/* ---- the way back in */

static void on_token(void *context, const char *secret, const char *sentence) {
    struct token_asked *asked = context;
    struct connection *connection = asked->connection;
    free(asked);
    if (connection == NULL) return;
    connection->token_asked = NULL;
    if (secret != NULL)
        answer(connection, json_pack("{s:s}", "token", secret));
    else
        refuse(connection, sentence);
}

static void token(struct connection *connection) {
    struct token_asked *asked = calloc(1, sizeof *asked);
    if (asked == NULL) abort();
    asked->connection = connection;
    connection->token_asked = asked;
    engine_make_admin_token(connection->control->engine, on_token, asked);
}

/* ---- requests */

static void take_request(struct connection *connection) {
    json_t *request = json_loadb(connection->request, connection->request_size_bytes, 0, NULL);
    const char *ask = json_string_value(json_object_get(request, "ask"));
    if (ask != NULL && strcmp(ask, "doctor") == 0)
        answer(connection, engine_doctor(connection->control->engine));
    else if (ask != NULL && strcmp(ask, "page") == 0)
        page(connection, request);
    else if (ask != NULL && strcmp(ask, "token") == 0)
        token(connection);
    else
        refuse(connection, "One line of JSON with \"ask\": \"doctor\", \"page\" or \"token\" was expected.");
    json_decref(request);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    struct connection *connection = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(connection->request + connection->request_size_bytes, (unsigned)(REQUEST_SIZE_BYTES_MAX - connection->request_size_bytes));
}

static void on_read(uv_stream_t *stream, ssize_t size_bytes, const uv_buf_t *buffer) {
    struct connection *connection = stream->data;
    (void)buffer;
    if (size_bytes < 0) { /* its end, or more than fits */
        connection_close(connection);
        return;
    }
    connection->request_size_bytes += (size_t)size_bytes;
    if (memchr(connection->request, '\n', connection->request_size_bytes) == NULL) return;
    uv_read_stop(stream);
    take_request(connection);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct control *control = listener->data;
    if (status < 0 || control->closing) return;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) abort();
    connection->control = control;
    connection->next = control->connections;
    control->connections = connection;
    control->connections_count++;
    uv_pipe_init(listener->loop, &connection->pipe, 0);
    uv_timer_init(listener->loop, &connection->timer);
    connection->pipe.data = connection->timer.data = connection;
    connection->handles_open = 2;
    bool taken = uv_accept(listener, (uv_stream_t *)&connection->pipe) == 0 && control->connections_count <= CONNECTIONS_MAX;
    if (!taken || uv_read_start((uv_stream_t *)&connection->pipe, on_buffer, on_read) != 0) {
        connection_close(connection);
        return;
    }
    uv_timer_start(&connection->timer, on_patience, PATIENCE_MS, 0);
}

/* ---- beginning and end */

static void on_unopened_closed(uv_handle_t *handle) { free(handle->data); }

struct control *control_open(uv_loop_t *loop, const char *data_dir, struct engine *engine, char *error, size_t error_size) {
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL) abort();
    control->engine = engine;
    int length = snprintf(control->path, sizeof control->path, "%s/control", data_dir);
    if (length < 0 || (size_t)length >= sizeof control->path) {
        snprintf(error, error_size, "%s/control is too long a path for a socket", data_dir);
        free(control);
        return NULL;
    }
    uv_pipe_init(loop, &control->listener, 0);
    control->listener.data = control;
    (void)unlink(control->path); /* of an earlier process: the databases beside it are locked by this one */
    mode_t mask = umask(0177);
    int fault = uv_pipe_bind(&control->listener, control->path);
    umask(mask);
    if (fault == 0) fault = uv_listen((uv_stream_t *)&control->listener, (int)CONNECTIONS_MAX, on_connection);
    if (fault != 0) snprintf(error, error_size, "cannot listen on %s: %s", control->path, uv_strerror(fault));
    if (fault == 0) return control;
    uv_close((uv_handle_t *)&control->listener, on_unopened_closed);
    return NULL;
}

static void on_listener_closed(uv_handle_t *handle) {
    struct control *control = handle->data;
    control->listener_closed = true;
    maybe_closed(control);
}

void control_close(struct control *control, void (*closed)(void *context), void *context) {
    if (control == NULL) {
        closed(context);
        return;
    }
    control->closing = true;
    control->closed = closed;
    control->closed_context = context;
    (void)unlink(control->path);
    uv_close((uv_handle_t *)&control->listener, on_listener_closed);
    for (struct connection *connection = control->connections; connection != NULL; connection = connection->next) connection_close(connection);
}
