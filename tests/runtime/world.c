/* world.c: the guests: what each can do next, and what is owed to him.
 * See fake_kernel.h. */
#include "fake_kernel.h"

#include <errno.h>
#include <stddef.h>

#define IDLE_MS 1000     /* --idle-timeout 1 */
#define GOODBYE_MS 5000  /* after Ctrl-C the server waits so long for its guests */
#define PAUSE_MS 100     /* the server's own rests are so long */
#define MAX_ACTS (MAX_GUESTS * 4 + 3)

struct world world;

char name_of(const struct guest *guest)
{
    return (char)('A' + (guest - world.guests));
}

/* What a guest says: no two bytes near each other are alike. */
unsigned char byte_of(const struct guest *guest, int index)
{
    return (unsigned char)((guest - world.guests) * 31 + index);
}

int room_of(const struct guest *guest)
{
    return world.left.room - (guest->echoed - guest->heard);
}

void world_begin(const struct scenario *scenario)
{
    world = (struct world){.left = *scenario, .clock = 1000000, .door_open = true};
    kernel_begin();
}

/* ---- what can happen next ---------------------------------------------------------- */

struct act {
    enum { COME, SAY, GOODBYE, RESET, HEAR, CTRL_C, PAUSE, WAIT, INTERRUPT } what;
    struct guest *guest;
    int bytes;
};

struct acts {
    struct act list[MAX_ACTS];
    int count;
};

static void add(struct acts *acts, struct act act)
{
    acts->list[acts->count++] = act;
}

static void add_those_of(struct acts *acts, struct guest *guest)
{
    bool speaks = !guest->goodbye && !guest->reset;
    int unsaid = world.left.bytes - guest->said;

    for (int bytes = unsaid < 2 ? unsaid : 2; speaks && bytes > 0; bytes--)
        add(acts, (struct act){SAY, guest, bytes});
    if (speaks && unsaid == 0)
        add(acts, (struct act){GOODBYE, guest, 0});
    if (guest->heard < guest->echoed && !guest->reset)
        add(acts, (struct act){HEAR, guest, 0});
    if (world.left.resets > 0 && !guest->reset)
        add(acts, (struct act){RESET, guest, 0});
}

/* The guests are all alike: that they come in the order of their names leaves nothing
 * out. */
static struct acts possible_acts(void)
{
    struct acts acts = {.count = 0};
    bool may_come = world.door_open;

    for (int i = 0; i < world.left.guests; i++) {
        struct guest *guest = &world.guests[i];
        if (guest->place == AT_DOOR || guest->place == SEATED)
            add_those_of(&acts, guest);
        if (guest->place == AWAY && may_come) {
            add(&acts, (struct act){COME, guest, 0});
            may_come = false;
        }
    }
    if (world.left.ctrl_c > 0)
        add(&acts, (struct act){CTRL_C, NULL, 0});
    return acts;
}

/* ---- and how it happens ------------------------------------------------------------ */

static void come(struct guest *guest)
{
    tell("guest %c comes to the door", name_of(guest));
    guest->place = AT_DOOR;
    guest->fd = -1;
    guest->last_said = world.clock;
    world.at_door[world.waiting++] = (int)(guest - world.guests);
    kernel_door_event();
}

static bool is_silent(const struct guest *guest)
{
    return world.left.idle && world.clock >= guest->last_said + IDLE_MS;
}

/* After the server's goodbye he has his own to say, and not for ever, however much else
 * he says. */
static bool has_stayed_too_long(const struct guest *guest)
{
    return guest->shut && world.clock >= guest->shut_at + GOODBYE_MS;
}

static void say(struct guest *guest, int bytes)
{
    tell("guest %c sends %d", name_of(guest), bytes);
    if (is_silent(guest) || has_stayed_too_long(guest))
        guest->too_late = true;
    guest->said += bytes;
    guest->last_said = world.clock;
    kernel_event(guest);
}

static void reset(struct guest *guest)
{
    tell("guest %c is gone without goodbye (RST)", name_of(guest));
    world.left.resets--;
    guest->reset = true;
    guest->error = guest->goodbye ? EPIPE : ECONNRESET;
    kernel_event(guest);
}

static void hear(struct guest *guest)
{
    tell("guest %c reads %d", name_of(guest), guest->echoed - guest->heard);
    guest->heard = guest->echoed;
    if (guest->no_room) {
        guest->no_room = false;
        kernel_event(guest);
    }
}

static void press_ctrl_c(void)
{
    tell("Ctrl-C");
    world.left.ctrl_c = 0;
    world.rung_at = world.clock;
    for (int i = 0; i < world.left.guests; i++) {
        struct guest *guest = &world.guests[i];
        guest->was_here = guest->place != AWAY;
        if (!guest->shut)
            guest->owed = guest->said;
    }
    kernel_ctrl_c();
}

static void pass_time(int ms)
{
    tell("%d ms go by", ms);
    world.clock += ms;
}

static void perform(struct act act)
{
    switch (act.what) {
    case COME:
        come(act.guest);
        break;
    case SAY:
        say(act.guest, act.bytes);
        break;
    case GOODBYE:
        tell("guest %c says goodbye (FIN)", name_of(act.guest));
        act.guest->goodbye = true;
        kernel_event(act.guest);
        break;
    case RESET:
        reset(act.guest);
        break;
    case HEAR:
        hear(act.guest);
        break;
    case CTRL_C:
        press_ctrl_c();
        break;
    case PAUSE:
    case WAIT:
        pass_time(act.bytes);
        break;
    case INTERRUPT:
        tell("a signal for nothing: EINTR");
        break;
    }
}

/* ---- when it happens --------------------------------------------------------------- */

bool fault(void)
{
    if (world.left.faults == 0 || choose(2) == 0)
        return false;
    world.left.faults--;
    return true;
}

/* System calls in a run; whoever needs more goes in circles. */
static long most_steps(void)
{
    return 40 * (world.left.guests + 1) * (world.left.bytes + 4);
}

void world_may_act(void)
{
    if (++world.steps > most_steps())
        wrong("the server goes in circles: more than %ld system calls", most_steps());
    while (world.left.surprises > 0) {
        struct acts acts = possible_acts();
        if (world.left.delays > 0)
            add(&acts, (struct act){PAUSE, NULL, PAUSE_MS});
        int choice = acts.count == 0 ? 0 : choose(acts.count + 1);
        if (choice == 0)
            return;
        world.left.surprises--;
        world.left.delays -= acts.list[choice - 1].what == PAUSE;
        perform(acts.list[choice - 1]);
    }
}

/* Nothing can happen any more. Then all guests must have left; if one has not, somebody
 * has forgotten him. Ctrl-C ends the day. */
static void must_be_over(void)
{
    for (int i = 0; i < world.left.guests; i++) {
        const struct guest *guest = &world.guests[i];
        if (guest->place != GONE && guest->place != AWAY)
            wrong("the server sleeps for ever, and guest %c waits: he has sent %d%s, "
                  "the server has read %d and sent back %d",
                  name_of(guest), guest->said, guest->goodbye ? " and goodbye" : "",
                  guest->read, guest->echoed);
    }
    if (world.rung_at != 0)
        wrong("the server sleeps for ever after Ctrl-C");
    press_ctrl_c();
}

bool world_sleep(int ms)
{
    for (;;) {
        bool may_return = ms == 0 || kernel_has_news();
        struct acts acts = {.count = 0};
        if (!may_return || world.left.surprises > 0)
            acts = possible_acts();
        if (acts.count == 0 && !may_return && ms < 0) {
            must_be_over();
            continue;
        }
        if (!may_return && ms > 0 && (acts.count == 0 || world.left.delays > 0))
            add(&acts, (struct act){WAIT, NULL, ms});
        if (world.left.faults > 0 && !may_return)
            add(&acts, (struct act){INTERRUPT, NULL, 0});

        int choices = acts.count + may_return;
        int choice = choices == 1 ? 0 : choose(choices);
        if (may_return && choice == 0)
            return true;
        struct act act = acts.list[choice - may_return];
        world.left.surprises -= may_return;
        perform(act);
        if (act.what == WAIT) {
            world.left.delays -= acts.count > 1 && world.left.delays > 0;
            return true;
        }
        if (act.what == INTERRUPT) {
            world.left.faults--;
            return false;
        }
    }
}

/* ---- what is owed ------------------------------------------------------------------ */

/* The rules of the house. Who has gone without goodbye is owed nothing. Everybody else is
 * kept until his goodbye and gets every byte; except that after Ctrl-C it is enough to
 * send back what he had said by then, and to hear his goodbye, within five seconds. The
 * same holds for him who has been silent for as long as --idle-timeout says: what he says
 * in the moment after that may be lost. */
void must_be_allowed_to_shut(struct guest *guest)
{
    bool idle = is_silent(guest) || guest->too_late;

    if (!guest->reset && guest->echoed < guest->read)
        wrong("goodbye to guest %c before everything was sent back", name_of(guest));
    if (world.rung_at == 0 && !idle)
        wrong("goodbye to guest %c in the middle of the evening", name_of(guest));
    if (idle)
        guest->owed = guest->echoed;
}

void must_be_allowed_to_close(struct guest *guest)
{
    bool cut = world.rung_at != 0 && world.clock >= world.rung_at + GOODBYE_MS;
    bool stays = guest->shut && (has_stayed_too_long(guest) || guest->too_late);

    if (guest->reset || cut || stays)
        return;
    if (guest->goodbye && guest->read == guest->said) {
        if (guest->echoed == guest->said)
            return;
        if (guest->shut && guest->echoed >= guest->owed)
            return;
    }
    if (world.excuses-- > 0)
        return;
    wrong("the server closes the table of guest %c: he has sent %d%s, the server has "
          "read %d and sent back %d",
          name_of(guest), guest->said, guest->goodbye ? " and goodbye" : "", guest->read,
          guest->echoed);
}

void world_end(void)
{
    bool cut = world.clock >= world.rung_at + GOODBYE_MS;

    for (int i = 0; i < world.left.guests; i++) {
        const struct guest *guest = &world.guests[i];
        if (guest->place == SEATED)
            wrong("the server has ended with guest %c at his table", name_of(guest));
        if (guest->place == AT_DOOR && guest->was_here && !cut && world.excuses-- <= 0)
            wrong("the server has ended, and guest %c still stands at the door",
                  name_of(guest));
    }
    kernel_end();
}
