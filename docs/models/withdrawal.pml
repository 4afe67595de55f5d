/* Withdrawal of a consent, with leases for doors that decide offline: a model for spin. README.md explains it.
 *
 * One person is enrolled, and withdraws once. Each withdrawal makes a generation; OWN is the person's, earlier ones are
 * of other people. A holder knows the person while it has a lease of a generation before OWN. Time passes in ticks of
 * the primary's clock. A message arrives at any later moment, in any order, or never.
 */

#ifndef HOLDERS
#define HOLDERS 1
#endif
#ifndef QUESTIONS
#define QUESTIONS 2  /* that each holder asks at most; the second is a renewal */
#endif
#ifndef OWN
#define OWN 2
#endif
#ifndef TERM
#define TERM 4       /* ticks after which the primary regards a lease as over */
#endif
#define MARGIN 1     /* ticks that a holder's clock may lose in TERM; a holder stops that much earlier */
#define NONE 255

/* The rules. The environment variable WITHOUT leaves one out; then spin must find a violation. */
#define TERM_COUNTS_FROM_THE_QUESTION 1
#define MARGIN_FOR_THE_CLOCK 2
#define FORGET_BEFORE_ACKNOWLEDGING 3
#define GENERATION_READ_WHERE_THE_LEASE_IS_RECORDED 4
#define ACKNOWLEDGEMENT_NAMES_ITS_GENERATION 5
#define LEASES_SURVIVE_A_FAILOVER 6
#define CLOCK_COUNTS_SLEEP 7
#define ANSWER_NAMES_ITS_QUESTION 8
#define LEASE_READ_AFTER_THE_FACE_CAME 9
#define NO_OLDER_GENERATION 10
#define EVERY_HOLDER_COUNTS 11
#define OLD_PRIMARY_IS_FENCED 12
#define STANDBY_HAS_WHAT_IS_CONFIRMED 13
#define CONSENT_READ_AFTER_THE_FACE_CAME 14
#define CLOCK_OF_THE_PRIMARY_NEVER_JUMPS_AHEAD 15

/* What must be able to happen; else the rules would hold only because nothing happens. Chosen by the variable GOAL. */
#define STILL_KNOWN_OFFLINE_AFTER_THE_WITHDRAWAL 1
#define STOPPED_BY_ACKNOWLEDGEMENTS 2
#define STOPPED_BY_EXPIRY 3
#define RENEWED_LEASE 4

byte without, goal;
#define RULE(name) (without != name)

/* The primary. */
byte generation;
byte outstanding[HOLDERS];  /* ticks until the last lease of a holder is certainly over */
byte confirmed[HOLDERS];    /* the latest generation that a holder acknowledged */
bool stopped_at_primary, stopped_everywhere;
byte deposed = NONE;        /* the generation of a former primary that still answers */

/* A holder: a node or a door. All of this is lost when it restarts, but no question has a number twice. */
typedef Holder {
    byte left;              /* ticks of its own clock for which its lease may be used; 0: it has none */
    byte lease;             /* the generation of its lease */
    byte heard;             /* the latest generation that it heard of */
    byte open = NONE;       /* the question that waits for an answer */
    byte waited;            /* ticks of its own clock since that question */
    byte asked;             /* the number of questions so far */
    byte steady             /* ticks until its clock may lose a tick again */
}
Holder holder[HOLDERS];

/* The network. */
bool question[HOLDERS * QUESTIONS];
byte answer[HOLDERS * QUESTIONS];  /* the generation of the lease in it, and 1; 0: no such message */
bool revocation[HOLDERS * OWN], acknowledgement[HOLDERS * OWN];

#define NUMBER(h, q) ((h) * QUESTIONS + (q))
#define OF(h, g) ((h) * OWN + (g) - 1)
#define KNOWS(h) (holder[h].left > 0 && holder[h].lease < OWN)
#define when(condition, action) if :: (condition) -> action :: else fi

proctype Primary() {
    byte i, g, h, n, read = NONE;
end:
    do
    :: atomic {  /* A withdrawal commits, and holders are told. */
        generation < OWN -> generation++;
        when(generation == OWN, stopped_at_primary = true);
        for (i : 0 .. HOLDERS - 1) { revocation[OF(i, generation)] = true }
        i = 0 }
    :: atomic {  /* A lease is recorded in the transaction that reads its generation. Then it is sent. */
        read == NONE ->
        select(h : 0 .. HOLDERS - 1); select(n : 0 .. QUESTIONS - 1);
        if
        :: question[NUMBER(h, n)] -> read = generation
        :: else -> h = 0; n = 0
        fi;
        when(read != NONE && RULE(GENERATION_READ_WHERE_THE_LEASE_IS_RECORDED), goto record) }
    :: atomic { read != NONE ->
    record:
        question[NUMBER(h, n)] = false; outstanding[h] = TERM; answer[NUMBER(h, n)] = read + 1;
        read = NONE; h = 0; n = 0 }
    :: atomic {  /* A holder acknowledges. */
        select(i : 0 .. HOLDERS - 1); select(g : 1 .. OWN);
        if
        :: acknowledgement[OF(i, g)] ->
            acknowledgement[OF(i, g)] = false;
            when(!RULE(ACKNOWLEDGEMENT_NAMES_ITS_GENERATION), g = OWN);
            when(g > confirmed[i], confirmed[i] = g)
        :: else
        fi;
        i = 0; g = 0 }
    :: atomic {  /* Every holder acknowledged, or its lease ran out. */
        stopped_at_primary && !stopped_everywhere ->
        do
        :: i < HOLDERS && (confirmed[i] >= OWN || outstanding[i] == 0) -> i++
        :: else -> break
        od;
        stopped_everywhere = (i == HOLDERS || (i > 0 && !RULE(EVERY_HOLDER_COUNTS)));
        i = 0 }
    :: atomic {  /* A standby is promoted. Its clock says nothing about the other one, so terms begin again. */
        true -> when(!RULE(OLD_PRIMARY_IS_FENCED), deposed = generation);
        when(!RULE(STANDBY_HAS_WHAT_IS_CONFIRMED) && generation > 0, generation--);
        for (i : 0 .. HOLDERS - 1) {
            when(outstanding[i] > 0, outstanding[i] = (RULE(LEASES_SURVIVE_A_FAILOVER) -> TERM : 0)) }
        i = 0; read = NONE; h = 0; n = 0 }
    :: atomic { !RULE(CLOCK_OF_THE_PRIMARY_NEVER_JUMPS_AHEAD) ->
        for (i : 0 .. HOLDERS - 1) { outstanding[i] = 0 }
        i = 0 }
    od
}

proctype Clocks() {
    byte h;
end:
    do
    :: atomic {
        for (h : 0 .. HOLDERS - 1) {
            when(outstanding[h] > 0, outstanding[h]--);
            if
            :: holder[h].steady == 0 && (holder[h].left > 0 || holder[h].open != NONE) ->  /* This clock loses a tick. */
                holder[h].steady = (RULE(CLOCK_COUNTS_SLEEP) -> TERM : 0)
            :: true ->
                when(holder[h].steady > 0, holder[h].steady--);
                when(holder[h].left > 0, holder[h].left--);
                when(holder[h].left == 0, holder[h].lease = 0);
                when(holder[h].open != NONE, holder[h].waited++);
                when(holder[h].waited == TERM, holder[h].open = NONE; holder[h].waited = 0)
            fi;
            when(holder[h].left == 0 && holder[h].open == NONE, holder[h].steady = 0) }
        h = 0 }
    od
}

proctype OfflineDoor(byte h) {
    byte n, term;
    bool forgets, knew;
end:
    do
    :: atomic {  /* It asks for a lease, or for its renewal. */
        holder[h].open == NONE && holder[h].asked < QUESTIONS ->
        holder[h].open = holder[h].asked; holder[h].asked++;
        question[NUMBER(h, holder[h].open)] = true }
    :: atomic {  /* It gets a lease, whose term began with the question. */
        select(n : 0 .. QUESTIONS - 1);
        if
        :: answer[NUMBER(h, n)] > 0 && (n == holder[h].open || !RULE(ANSWER_NAMES_ITS_QUESTION)) ->
            term = (RULE(MARGIN_FOR_THE_CLOCK) -> TERM - MARGIN : TERM);
            when(RULE(TERM_COUNTS_FROM_THE_QUESTION),
                term = (term > holder[h].waited -> term - holder[h].waited : 0));
            when(term > 0 && (answer[NUMBER(h, n)] > holder[h].heard || !RULE(NO_OLDER_GENERATION)),
                holder[h].left = term;
                holder[h].lease = answer[NUMBER(h, n)] - 1;
                holder[h].heard = holder[h].lease);
            answer[NUMBER(h, n)] = 0; holder[h].open = NONE; holder[h].waited = 0
        :: else
        fi;
        n = 0; term = 0 }
    :: atomic {  /* It is told of a withdrawal: it forgets, and then acknowledges. */
        select(n : 1 .. OWN);
        if
        :: revocation[OF(h, n)] ->
            revocation[OF(h, n)] = false;
            when(n > holder[h].heard, holder[h].heard = n);
            when(holder[h].left > 0 && holder[h].lease < n, forgets = true);
            acknowledgement[OF(h, n)] = true
        :: else
        fi;
        n = 0;
        when(forgets && RULE(FORGET_BEFORE_ACKNOWLEDGING), goto forget) }
    :: atomic { forgets ->
    forget:
        holder[h].left = 0; holder[h].lease = 0; forgets = false }
    :: atomic {  /* It restarts. */
        holder[h].left = 0; holder[h].lease = 0; holder[h].heard = 0; holder[h].open = NONE; holder[h].waited = 0;
        forgets = false; knew = false }
    :: atomic {  /* A face comes, and the lease of this moment decides. */
        RULE(LEASE_READ_AFTER_THE_FACE_CAME) -> assert(!(stopped_everywhere && KNOWS(h))) }
    :: atomic { !RULE(LEASE_READ_AFTER_THE_FACE_CAME) -> assert(!(stopped_everywhere && knew)); knew = KNOWS(h) }
    od
}

proctype OnlineDoor() {
    bool knew;
end:
    do
    :: atomic {  /* A face comes, and the primary is asked. */
        RULE(CONSENT_READ_AFTER_THE_FACE_CAME) -> assert(!(stopped_at_primary && (generation < OWN || deposed < OWN))) }
    :: atomic { !RULE(CONSENT_READ_AFTER_THE_FACE_CAME) ->
        assert(!(stopped_at_primary && knew)); knew = (generation < OWN) }
    od
}

proctype Goal() {
end:
    do
    :: atomic {
        (goal == STILL_KNOWN_OFFLINE_AFTER_THE_WITHDRAWAL && stopped_at_primary && KNOWS(0)) ||
        (goal == STOPPED_BY_ACKNOWLEDGEMENTS && stopped_everywhere && outstanding[0] > 0) ||
        (goal == STOPPED_BY_EXPIRY && stopped_everywhere && confirmed[0] < OWN && holder[0].asked > 0) ||
        (goal == RENEWED_LEASE && KNOWS(0) && holder[0].asked == QUESTIONS && holder[0].open == NONE) ->
        assert(goal == 0) }
    od
}

c_code { \#include <stdlib.h>
    static int chosen(const char *name) { return getenv(name) ? atoi(getenv(name)) : 0; } }

init {
    byte h;
    atomic {
        c_code { now.without = chosen("WITHOUT"); now.goal = chosen("GOAL"); };
        run Primary(); run Clocks(); run OnlineDoor();
        for (h : 0 .. HOLDERS - 1) { run OfflineDoor(h) }
        when(goal > 0, run Goal());
        h = 0 }
}
